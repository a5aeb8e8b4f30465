"""Open a holdback after a promotion by a test: does the gain last?

`former` serves the former champion, `promoted` the version that took its place, each to the same
share of all users. It only measures: its looks move no version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.check_assignment import CannotAssignError
from experiments.actions.close_holdback import close_holdback
from experiments.actions.define_experiment import MAX_EXPERIMENT_NAME
from experiments.actions.free_keys import free_key
from experiments.actions.layer_slots import Slot, holdback_slot
from experiments.actions.start_experiment import begin
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment, ExperimentMetric, programme_of
from experiments.salts import new_salt
from experiments.stats.policy import MAX_OVERRUN

if TYPE_CHECKING:
    from experiments.models import Programme
    from inference.models import ModelVersion

DAY = 86_400.0
# Over its days, so that the analysis history of a month can be read; the test's pause if it is longer.
MAX_LOOKS = 1000


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a test has just brought about.

    Attributes:
        test: that ended; its metrics and its rule's numbers are the holdback's.
        promoted: the champion now.
        former: the champion before.
    """

    test: Experiment
    promoted: ModelVersion
    former: ModelVersion


def open_holdback(promotion: Promotion) -> dict[str, Any]:
    """Open it in the transaction of the promotion, which holds the surface's lock.

    A holdback of the same recipe ends first, as it stands: its version is the champion no more, and
    two of one recipe would ask the same question. Those of other recipes run on in their slots.

    Returns:
        What the decision's record, and the one entry of the audit trail, say of it: the holdback, or
        why there is none.
    """
    surface = promotion.test.surface
    if promotion.test.mode in ABOVE_USERS:
        what = "clusters" if promotion.test.mode == Experiment.Mode.CLUSTER else "blocks of time"
        return {"why_no_holdback": f"{what} were randomised, and a holdback splits users"}
    programme = programme_of(surface)
    if programme.holdback_share <= 0 or programme.holdback_days <= 0:
        return {"why_no_holdback": "the programme's holdback_share or holdback_days is 0"}
    same_recipe = Experiment.objects.running().filter(
        surface=surface,
        purpose=Experiment.Purpose.HOLDBACK,
        variants__is_control=False,
        variants__model_version__algorithm=promotion.promoted.algorithm,
    )
    for holdback in same_recipe:
        close_holdback(holdback=holdback, by=PLATFORM, why=f"{promotion.promoted.label} took its place")
    slot = holdback_slot(surface, programme.holdback_share)
    if slot is None:
        return {"why_no_holdback": "no slot of the layer is free: tests need half of the users"}
    try:
        # The promotion stands also where a test in a layer of its own leaves no place beside it.
        with transaction.atomic():
            return {"holdback": _start(promotion, programme, slot).key}
    except CannotAssignError as error:
        return {"why_no_holdback": str(error)}


def _start(promotion: Promotion, programme: Programme, slot: Slot) -> Experiment:
    test, now = promotion.test, timezone.now()
    version, seconds = promotion.promoted, programme.holdback_days * DAY
    holdback = Experiment.objects.create(
        project=test.project,
        surface=test.surface,
        key=free_key(
            test.project_id, f"{test.surface.key}-holdback-{version.algorithm}-{version.number}"
        ),
        # Both versions, in no language; pages say beside it what it is.
        name=f"{version.label} / {promotion.former.label}"[:MAX_EXPERIMENT_NAME],
        purpose=Experiment.Purpose.HOLDBACK,
        owner=PLATFORM,
        salt=new_salt(),
        layer=slot.layer,
        slot_low=slot.low,
        slot_high=slot.high,
        policy=_policy(test, seconds),
        against_gate=test.against_gate,
        segments=test.segments,
        breaker_alpha=0.0,  # it only measures
        ends_at=now + timedelta(seconds=seconds),
    )
    holdback.variants.create(key="former", is_control=True, weight=0.5, model_version=promotion.former)
    holdback.variants.create(key="promoted", weight=0.5, model_version=promotion.promoted)
    for metric in test.metrics.exclude(role=ExperimentMetric.Role.SECONDARY):
        _copy_metric(metric, holdback)
    begin(holdback)
    return holdback


def _policy(test: Experiment, seconds: float) -> dict[str, Any]:
    """Return the test's policy as a measurement needs it: intervals that hold at any time, no end."""
    policy = test.parsed_policy
    return {
        **policy.as_json(),
        "rule": "always_valid",
        "promote": False,
        "overrun": MAX_OVERRUN,
        "minimum_run_seconds": 0.0,
        "look_every_seconds": max(policy.look_every_seconds, seconds / MAX_LOOKS),
    }


def _copy_metric(metric: ExperimentMetric, holdback: Experiment) -> None:
    """Give the holdback a metric of the test, counted as it was frozen there."""
    metric.pk = None
    metric._state.adding = True  # noqa: SLF001  Django's own way to copy a row
    metric.experiment = holdback
    metric.save()
