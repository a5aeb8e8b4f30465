"""Change the shares of a running experiment: re-weight, forget or block what was kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.actions.propose_exposure import Exposure, awaiting, propose_exposure
from experiments.assignment import is_whole
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment
from experiments.programme.safeguards import exposes_more
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Epoch


class WouldReshuffleError(Exception):
    """A change that would take units out, or move them; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """What changes.

    Attributes:
        allocation: the share of traffic from now on, or None as it is.
        weights: of every variant from now on, or None as they are.
        accept_moves: whether units may change variant.
        forget_kept: whether a sticky experiment forgets what units met before.
        block_earlier: whether units that met it before are left out from now on.
    """

    allocation: float | None = None
    weights: Mapping[str, float] | None = None
    accept_moves: bool = False
    forget_kept: bool = False
    block_earlier: bool = False


def change_shares(
    *,
    experiment: Experiment,
    change: Change,
    by: str,
    person: str = "",
    approvals: Sequence[str] = (),
) -> Epoch:
    """Open another epoch by a person's word.

    Args:
        experiment: that runs.
        change: what changes.
        by: who acts, for the audit trail.
        person: whose word it is, where two people approve; empty: `by`.
        approvals: the people who have approved it, where it was proposed.

    Raises:
        ExposureAwaitsApprovalError: more users would meet a treatment, and two people must approve.
        WrongStateError: it does not run, or it is no test.
        WouldReshuffleError: units would leave or move, and nobody has accepted that.
        ValueError: shares that break their rule.
    """
    with transaction.atomic():
        # A ramp and an operator may open an epoch at once; the second sees what the first has changed.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        locked.require(Experiment.State.RUNNING)
        locked.require_test("change its shares")
        before = {variant.key: variant.weight for variant in locked.variants.all()}
        allocation = locked.allocation if change.allocation is None else change.allocation
        weights = dict(change.weights) if change.weights is not None else before
        _check_shares(locked, before, allocation, weights, change)
        proposal = None
        if exposes_more(locked, allocation=allocation, weights=weights):
            changed = {"allocation": (locked.allocation, allocation), "weights": (before, weights)}
            exposure = Exposure(
                verb="change shares",
                changed={name: pair for name, pair in changed.items() if pair[0] != pair[1]},
                by=by,
                person=person or by,
                approvals=approvals,
                arguments=asdict(change),
            )
            proposal = propose_exposure(locked, exposure)
        if proposal is None:
            return open_epoch(locked, change, by=by)
    raise awaiting(proposal)


def open_epoch(experiment: Experiment, change: Change, *, by: str) -> Epoch:
    """Carry a change out, in a transaction that has locked the experiment and checked the change."""
    before = {variant.key: variant.weight for variant in experiment.variants.all()}
    allocation = experiment.allocation if change.allocation is None else change.allocation
    weights = dict(change.weights) if change.weights is not None else before
    epoch = experiment.change(allocation=allocation, weights=weights)
    if change.forget_kept:
        experiment.sticky_since = epoch.number
    if change.block_earlier:
        experiment.blocked_before = epoch.number
    experiment.save(update_fields=["sticky_since", "blocked_before"])
    record_audit(
        experiment.project_id,
        actor=by,
        action="change",
        subject=experiment.key,
        detail={"epoch": epoch.number, "allocation": allocation, "weights": weights},
    )
    # A ramp steps in a transaction of its own: processes are told when both are committed.
    transaction.on_commit(partial(announce_change, cache_client()))
    return epoch


def _check_shares(
    experiment: Experiment,
    before: Mapping[str, float],
    allocation: float,
    weights: Mapping[str, float],
    change: Change,
) -> None:
    if not 0 < allocation <= 1:
        raise ValueError(f"allocation == {allocation:g}, must be in (0, 1].")
    _check_mode(experiment, before, weights)
    if weights.keys() != before.keys():
        raise ValueError(f"weights of {sorted(weights)}, must be of {sorted(before)}.")
    if any(weight < 0 for weight in weights.values()) or not is_whole(sum(weights.values())):
        raise ValueError(f"sum of weights == {sum(weights.values()):g}, must be 1, none negative.")
    if allocation < experiment.allocation and not change.accept_moves:
        raise WouldReshuffleError(
            f"allocation == {allocation:g}, is {experiment.allocation:g}: units that are in would "
            "leave. Stop the experiment, or switch it off for a while; or accept_moves."
        )
    moved = sum(abs(weights[key] - before[key]) for key in before) / 2
    # Above the rounding of a sum of a few weights: 0 to the eye is no move.
    if moved > 1e-9 and not (change.accept_moves or experiment.sticky):
        raise WouldReshuffleError(
            f"these weights would move {moved:.1%} of the units to another variant, and they would be "
            "left out of the analysis. Stop it and start a new experiment, or raise the allocation "
            "instead; or accept_moves."
        )


def _check_mode(
    experiment: Experiment, before: Mapping[str, float], weights: Mapping[str, float]
) -> None:
    if experiment.mode in ABOVE_USERS:
        what, many = ("cluster", "clusters") if experiment.mode == "cluster" else ("block", "blocks")
        raise ValueError(
            f"shares of '{experiment.key}' must stay: it is randomised by {what}, and shares of few "
            f"{many} cannot change."
        )
    if experiment.is_interleaved and weights != before:
        raise ValueError(
            f"weights == {weights}, must stay {dict(before)}: versions of interleaved lists draft by a "
            "fair coin."
        )
    if experiment.mode == Experiment.Mode.BANDIT and weights != before:
        raise ValueError(
            f"weights == {weights}, must stay {dict(before)}: a bandit's shares follow its rewards."
        )
