"""Look at a running experiment: roll up, apply the rule, store the look, carry out a verdict."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.drop_treatment import Harm, drop_treatment
from experiments.actions.notice_lost_gain import notice_lost_gain
from experiments.actions.propose import propose_ship
from experiments.looks.interleaved_units import score_units
from experiments.looks.look_input import gather
from experiments.looks.roll_up import roll_up
from experiments.looks.serving_quality import serving_of, with_generation
from experiments.metrics.watermark import TransactionRange
from experiments.models import Decision, Experiment, Look
from experiments.programme.safeguards import ships_by_itself
from experiments.reports.stored_quality import quality_for_look
from experiments.stats.look import take_look
from inference.actions.move_champion import CannotPromoteError
from inference.cache import cache_client
from inference.serving.changes import announce_live

if TYPE_CHECKING:
    from experiments.models.served_variant import ServedVariant
    from experiments.stats.look_result import LookResult

logger = logging.getLogger(__name__)
CLOCK_ERROR = timedelta(minutes=1)


def look_at_experiment(*, experiment_id: int, now: datetime | None = None) -> Look | None:
    """Take one look, unless it does not run any more or nothing has come in since the last.

    Returns:
        The look, or None when there was nothing to look at.
    """
    now = now or timezone.now()
    with transaction.atomic():
        # Another process that looks at it holds the row: this one has nothing left to do.
        row = Experiment.objects.filter(pk=experiment_id)
        if not row.select_for_update(skip_locked=True, no_key=True).exists():
            return None  # another process looks, or a person changes it: the next tick asks again
        experiment = roll_up(experiment_id, now)
        if experiment.state != Experiment.State.RUNNING:
            return None
        score_units(experiment, now)
        last = experiment.looks.last()
        inputs = gather(experiment, now)
        stored = inputs.as_json()
        if last is not None and not inputs.crossed and _says_the_same(stored, last.inputs):
            return None
        result = take_look(inputs)
        served = _served(experiment, last, now)
        look = Look.objects.create(
            experiment=experiment,
            number=(last.number if last else 0) + 1,
            taken_at=now,
            batch=experiment.batches,
            information=result.information,
            inputs=stored,
            result=result.as_json(),
            action=_action_of(experiment, result),
            reason=result.reason,
            serving={row.variant: row.as_json() for row in served},
            quality=quality_for_look(experiment),
        )
        experiment.sequential_state = {
            "states": {key: state.as_json() for key, state in result.states.items()},
            "crossed": list(result.crossed),
            "batch": experiment.batches,
            "answers_to": experiment.watermark,
        }
        experiment.save(update_fields=["sequential_state"])
        notice_lost_gain(experiment, look)
        propose_ship(experiment, look)
        keeps_running = look.action == Decision.Action.KEEP_RUNNING
        if keeps_running and experiment.purpose == experiment.Purpose.TEST:
            # In the look's own transaction: harm that was seen is harm that has ended.
            for variant, reason in result.leaving.items():
                harm = Harm(variant=variant, reason=reason, look=look)
                drop_treatment(experiment=experiment, harm=harm, by=PLATFORM)
    announce_live(cache_client(), experiment.project_id, "looks")
    if is_pending(experiment, look):
        try:
            carry_out(experiment=experiment, verdict=Verdict.of(look), by=PLATFORM)
        except CannotPromoteError as error:
            # The look stands and the experiment runs on; `attend_experiment` tries again.
            logger.error("%s is not carried out: %s", experiment, error)  # noqa: TRY400
    return look


def _served(experiment: Experiment, last: Look | None, now: datetime) -> list[ServedVariant]:
    """Return how variants were served since the look before, and what answers stored since cost."""
    before = last.taken_at if last else experiment.started_at or now
    served = serving_of(experiment, since=before, now=now)
    lower = experiment.sequential_state.get("answers_to")
    # Looks before 2026-12 did not note how far they had counted: to the ids of their time.
    since = before if lower is None else datetime.fromtimestamp(0, UTC)
    span = TransactionRange(lower=lower or 0, upper=experiment.watermark)
    return with_generation(served, experiment, span, since=since)


def _action_of(experiment: Experiment, result: LookResult) -> str:
    """Return what follows from a look: of what only measures nothing but that its numbers are void."""
    if experiment.purpose == Experiment.Purpose.TEST or result.action == "halt":
        return result.action
    return Decision.Action.KEEP_RUNNING


def _says_the_same(inputs: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether nothing has come in: a look at the same totals would only fill the table."""
    facts = ("metrics", "exposures", "doubled", "interleaved")
    now = orjson.loads(orjson.dumps({name: inputs.get(name) for name in facts}))
    return bool(now == {name: before.get(name) for name in facts})


def attend_experiment(*, experiment: Experiment, now: datetime) -> None:
    """Carry out a verdict that a look gave and nobody carried out; else take a look if one is due.

    A look and its carrying out are two transactions, because web processes are asked in between. A
    process that dies there leaves a running experiment whose last look holds a verdict: found here.

    Raises:
        CannotPromoteError: a web process cannot serve the winner; a look was taken if one was due.
    """
    last = experiment.looks.last()
    refusal: CannotPromoteError | None = None
    if last is not None and is_pending(experiment, last):
        try:
            carry_out(experiment=experiment, verdict=Verdict.of(last), by=PLATFORM)
        except CannotPromoteError as error:
            refusal = error
        else:
            return
    if _is_time(experiment, last, now):
        look_at_experiment(experiment_id=experiment.pk, now=now)
    if refusal is not None:
        raise refusal


def is_due(experiment: Experiment, now: datetime) -> bool:
    """Whether the policy asks for a look now, or a verdict waits to be carried out."""
    last = experiment.looks.last()
    return _is_time(experiment, last, now) or (last is not None and is_pending(experiment, last))


def is_pending(experiment: Experiment, look: Look) -> bool:
    """Whether the last look of a running experiment says something that the platform must carry out.

    A gain may be left to a person; a loss waits for nobody. What only measures carries nothing out.
    """
    if experiment.purpose != Experiment.Purpose.TEST:
        return False
    if look.action == Decision.Action.KEEP_RUNNING:
        return False
    if look.action == Decision.Action.SHIP:
        return ships_by_itself(experiment)
    if (
        look.action in {Decision.Action.ROLL_BACK, Decision.Action.PREFER}
        or experiment.parsed_policy.promote
    ):
        return True
    # Of an automatic experiment people approve what ships; what ends without a winner ends by itself,
    # or the next challenger would wait for ever.
    return experiment.owner == PLATFORM


def _is_time(experiment: Experiment, last: Look | None, now: datetime) -> bool:
    if last is None:
        return True
    pause = timedelta(seconds=experiment.parsed_policy.look_every_seconds)
    elapsed = now - last.taken_at
    # Beat ticks are not exact: a look that is due within a tenth of the pause is due now. A look of the
    # future was taken by a clock that was fast: nobody waits until it is reached.
    return elapsed >= pause * 0.9 or elapsed < -max(pause, CLOCK_ERROR)
