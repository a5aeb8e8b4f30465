"""Change the shares of a running experiment: re-weight, forget or block what was kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.assignment import is_whole
from experiments.models import Experiment
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def change_shares(*, experiment: Experiment, change: Change, by: str) -> Epoch:
    """Open another epoch.

    Raises:
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
        epoch = locked.change(allocation=allocation, weights=weights)
        if change.forget_kept:
            locked.sticky_since = epoch.number
        if change.block_earlier:
            locked.blocked_before = epoch.number
        locked.save(update_fields=["sticky_since", "blocked_before"])
        record_audit(
            locked.project_id,
            actor=by,
            action="change",
            subject=locked.key,
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
