"""Take the steps of an experiment's ramp, and what people say to it: continue, stay, roll back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM, reason_of
from bakeoff.accounts.audit import record_audit
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.change_shares import Change, open_epoch
from experiments.actions.propose_exposure import Exposure, awaiting, propose_exposure
from experiments.models import Decision, Experiment
from experiments.models.experiment import WrongStateError
from experiments.programme.ramp import next_step, read_ramp
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from experiments.models import Epoch
    from experiments.programme.ramp_types import RampNeed, RampState

MAX_HOLD = 300  # the column's width
# Users that have not come so long after the step was due: a person should know of thin traffic.
THIN_TRAFFIC_SECONDS = 7 * 86_400.0


def step_ramp(experiment: Experiment) -> Epoch | None:
    """Take the ramp's next step if everything that it needs is there; else None.

    The decision loop ends what does harm; the ramp waits for it and never runs ahead. A step that is
    held longer than it would take by itself is told to people once.
    """
    with transaction.atomic():
        # A person may hold, stop or step it at this moment: the one who comes second sees that.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        if locked.state != Experiment.State.RUNNING:
            return None
        now = timezone.now()
        state, step = read_ramp(locked, now), next_step(locked, now)
        if state is None or step is None:
            return None
        if state.missing:
            _tell_once(locked, state)
            return None
        # What the programme agreed on waits for nobody.
        return open_epoch(locked, Change(allocation=step["allocation"]), by=PLATFORM)


def why_held(experiment: Experiment, now: datetime | None = None) -> str:
    """Return what keeps a running experiment's ramp from its next step, or nothing."""
    state = read_ramp(experiment, now or timezone.now())
    return "; ".join(need.sentence for need in state.missing) if state is not None else ""


def _tell_once(experiment: Experiment, state: RampState) -> None:
    """Alert once per step that it is held longer than its time and its users would take."""
    held = _overdue(state)
    if not held:
        return
    share = state.current.share
    reason = "; ".join(need.sentence for need in held)
    record_alert(
        experiment.project_id,
        event="ramp_held",
        subject=experiment.key,
        summary=f"The ramp of {experiment.title} is held at {share * 100:.3g}%: {reason}.",
        detail={"share": share, "needs": [need.sentence for need in held]},
        path=experiment_path(experiment.project.slug, experiment.key),
        # Steps differ by their share: an epoch that a person opens on the way is not another step.
        dedupe_key=f"ramp-held:{experiment.pk}:{share:.6g}",
    )


def _overdue(state: RampState) -> list[RampNeed]:
    """Return what holds a step that is due; nothing while it may come by itself in time."""
    needs = {need.kind: need for need in state.needs}
    time, users = needs["time"], needs.get("users")
    if not time.holds or state.hold:  # a person who holds it knows
        return []
    if users is not None and not users.holds:
        late = (time.actual or 0.0) - (time.required or 0.0)
        return [users] if late >= THIN_TRAFFIC_SECONDS else []
    return list(state.held_by)


def continue_ramp(
    *,
    experiment: Experiment,
    by: str,
    reason: str = "",
    at_once: bool = True,
    person: str = "",
    approvals: Sequence[str] = (),
) -> Experiment:
    """Lift a person's hold; at once, take the next step whatever holds it.

    Args:
        experiment: that ramps.
        by: who acts, for the audit trail.
        reason: in words.
        at_once: whether the next step is taken, too.
        person: whose word it is, where two people approve; empty: `by`.
        approvals: the people who have approved it, where it was proposed.

    Raises:
        ExposureAwaitsApprovalError: two people must approve; it is proposed.
        WrongStateError: it does not run, or has no further step.
    """
    with transaction.atomic():
        locked = _lock_ramping(experiment)
        step = next_step(locked, timezone.now())
        if step is None:
            raise WrongStateError(f"experiment '{locked.key}' has no further step of its ramp")
        exposure = Exposure(
            verb="continue ramp",
            changed=_continued(locked, step if at_once else None),
            by=by,
            person=person or by,
            approvals=approvals,
            arguments={"reason": reason, "at_once": at_once},
        )
        proposal = propose_exposure(locked, exposure) if exposure.changed else None
        if proposal is None:
            return _continue(locked, step if at_once else None, by=by, reason=reason)
    raise awaiting(proposal)


def _continued(experiment: Experiment, step: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Return what changes: the hold that is lifted, and the traffic where a step is taken."""
    changed: dict[str, tuple[Any, Any]] = {}
    if experiment.ramp_hold:
        changed["ramp_hold"] = (experiment.ramp_hold, "")
    if step is not None:
        changed["allocation"] = (experiment.allocation, step["allocation"])
    return changed


def _continue(
    experiment: Experiment, step: Mapping[str, Any] | None, *, by: str, reason: str
) -> Experiment:
    experiment.ramp_hold = ""
    experiment.save(update_fields=["ramp_hold"])
    record_audit(
        experiment.project_id,
        actor=by,
        action="continue ramp",
        subject=experiment.key,
        detail={"reason": reason, "allocation": step["allocation"] if step is not None else None},
    )
    if step is not None:
        weights = {variant.key: variant.weight for variant in experiment.variants.all()}
        experiment.change(allocation=step["allocation"], weights=weights)
        transaction.on_commit(partial(announce_change, cache_client()))
    return experiment


def hold_ramp(*, experiment: Experiment, by: str, reason: str = "") -> Experiment:
    """Stay at the present share until a person continues.

    Raises:
        WrongStateError: it does not run, or has no further step.
    """
    with transaction.atomic():
        locked = _lock_ramping(experiment)
        if next_step(locked, timezone.now()) is None:
            raise WrongStateError(f"experiment '{locked.key}' has no further step of its ramp")
        locked.ramp_hold = f"held by {by}{f': {reason}' if reason else ''}"[:MAX_HOLD]
        locked.save(update_fields=["ramp_hold"])
        record_audit(
            locked.project_id,
            actor=by,
            action="hold ramp",
            subject=locked.key,
            detail={"reason": reason},
        )
    return locked


def roll_back_experiment(*, experiment: Experiment, by: str, reason: str = "") -> Decision:
    """End it by a person's word, with its treatment rejected; the champion stays.

    Raises:
        WrongStateError: it does not run, or is no test.
    """
    experiment.require_test("be rolled back")
    verdict = Verdict(action=Decision.Action.ROLL_BACK, reason=reason or reason_of("rolled back", by))
    return carry_out(experiment=experiment, verdict=verdict, by=by)


def _lock_ramping(experiment: Experiment) -> Experiment:
    # The loop may take a step at this moment, and end it: the one who comes second sees that.
    locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
    locked.require(Experiment.State.RUNNING)
    locked.require_test("ramp")
    return locked
