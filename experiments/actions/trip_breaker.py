"""Switch a harmful treatment off: end its experiment, tell people, read it back from serving."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from bakeoff.accounts.actors import PLATFORM
from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path
from experiments.actions.carry_out import Verdict, end_by_verdict
from experiments.actions.drop_treatment import Harm, drop_treatment
from experiments.models import Decision
from experiments.models.experiment import WrongStateError
from inference.cache import cache_client
from inference.serving.changes import announce_change, announce_live, read_back_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.looks.breaker_counts import BreakerTest
    from experiments.models import Experiment

logger = logging.getLogger(__name__)
# Who was killed between the trip and the read-back is made up for this long.
UNCONFIRMED = timedelta(hours=1)


def trip_breaker(*, experiment: Experiment, tests: Sequence[BreakerTest]) -> Decision | None:
    """End the experiment as rolled back, or drop the treatments that do harm where others remain.

    Args:
        experiment: that runs.
        tests: all of its breaker; some have tripped.

    Returns:
        The last decision; None where it does not run any more, or a treatment has left already.
    """
    worst = {test.variant: test for test in sorted(tests, key=lambda test: test.log_e) if test.tripped}
    decision = None
    try:
        with transaction.atomic():
            present = set(experiment.treatments.filter(weight__gt=0).values_list("key", flat=True))
            harmful = {variant: test for variant, test in worst.items() if variant in present}
            if not harmful:
                return None
            decision = _switch_off(experiment, harmful, tests, ends=present == set(harmful))
    except WrongStateError:  # a look or a person ended it meanwhile
        return None
    confirm_switched_off(decision)
    announce_live(cache_client(), experiment.project_id, "looks")
    return decision


def _switch_off(
    experiment: Experiment,
    harmful: Mapping[str, BreakerTest],
    tests: Sequence[BreakerTest],
    *,
    ends: bool,
) -> Decision:
    """End it, or drop the harmful treatments; alert; in the caller's transaction."""
    decision: Decision | None = None
    for variant, test in harmful.items():
        reason, evidence = _reason(test), {"breaker": _evidence(experiment, variant, tests)}
        if ends:
            verdict = Verdict(
                action=Decision.Action.ROLL_BACK, reason=reason, variant=variant, evidence=evidence
            )
            decision = end_by_verdict(experiment=experiment, verdict=verdict, by=PLATFORM, answered={})
        else:
            harm = Harm(variant=variant, reason=reason, evidence=evidence)
            decision = drop_treatment(experiment=experiment, harm=harm, by=PLATFORM)
        record_alert(
            experiment.project_id,
            event=Alert.Event.BREAKER_TRIP,
            subject=experiment.title,
            summary=f"'{variant}' of {experiment.title} was switched off. {reason}.",
            detail={"experiment": experiment.key, "variant": variant, "metric": test.metric},
            path=experiment_path(experiment.project.slug, experiment.key),
        )
        if ends:  # of several that trip at one moment, the first names the end
            break
    assert decision is not None  # noqa: S101  at least one is harmful
    return decision


def _reason(test: BreakerTest) -> str:
    treated, controlled = test.units
    if test.about == "event":
        return (
            f"breaker: '{test.metric}' in {treated} users of '{test.variant}' and {controlled} of "
            "the control"
        )
    return (
        f"breaker: '{test.metric}' is worse in {treated} users of '{test.variant}' than in "
        f"{controlled} of the control"
    )


def _evidence(experiment: Experiment, variant: str, tests: Sequence[BreakerTest]) -> dict[str, Any]:
    """Return all that is needed to recompute the evidence, of every test of the treatment."""
    return {
        "variant": variant,
        "alpha": experiment.breaker_alpha,
        "latency_before": experiment.latency_before,
        "tests": [asdict(test) for test in tests if test.variant == variant],
        "started_at": experiment.started_at.isoformat() if experiment.started_at else None,
    }


def confirm_switched_off(decision: Decision) -> None:
    """Announce a trip that was committed, and keep which web processes have read it back."""
    announce_change(cache_client())
    try:
        decision.read_back = read_back_changes(cache_client())
    except RedisError as error:  # it is committed, and processes poll: the next turn asks again
        logger.warning("the trip of '%s' is not read back: %s", decision.experiment, error)
        return
    decision.save(update_fields=["read_back"])


def confirm_trips() -> None:
    """Read trips back that nobody has: the worker was killed after the commit, or Redis was away."""
    recent = Decision.objects.filter(
        created_at__gte=timezone.now() - UNCONFIRMED, evidence__has_key="breaker"
    )
    for decision in recent.defer("evidence").select_related("experiment"):
        if not decision.confirmed:  # nobody asked yet, or a process did not answer in time
            confirm_switched_off(decision)
