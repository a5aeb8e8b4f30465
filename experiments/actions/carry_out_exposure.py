"""Carry out what two people approved: a start, more traffic, a ramp's step, a test turned on again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.edit_draft import draft_of, fingerprint_of
from experiments.actions.propose_exposure import present_values
from experiments.actions.start_experiment import start_experiment
from experiments.actions.step_ramp import continue_ramp
from experiments.actions.switch_experiment import switch
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.models import Proposal


def carry_out_exposure(
    proposal: Proposal, *, by: str, approvals: Sequence[str], close: Callable[[], None]
) -> None:
    """Do what was proposed, if the experiment still is as it was then.

    Args:
        proposal: of the kind `expose`.
        by: who acts, for the audit trail.
        approvals: the people who have approved it.
        close: called in the same transaction, after the experiment and its surface are locked.

    Raises:
        WrongStateError: it has changed since, or ended.
    """
    if proposal.experiment is None:
        raise WrongStateError(f"proposal {proposal.pk} names no experiment")
    changed = proposal.evidence["changed"]
    with transaction.atomic():
        # The loop may step or end it at this moment: people approved a change of what they saw.
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=proposal.experiment.pk)
        now = present_values(locked)
        moved = [name for name, (before, _) in changed.items() if now[name] != before]
        if moved:
            raise WrongStateError(
                f"experiment '{locked.key}' has changed since proposal {proposal.pk} "
                f"({', '.join(moved)}): propose it again"
            )
        _ACTS[proposal.evidence["verb"]](locked, proposal.evidence["arguments"], by, approvals)
        close()
    announce_change(cache_client())


def _start(
    experiment: Experiment, arguments: Mapping[str, Any], by: str, approvals: Sequence[str]
) -> object:
    if fingerprint_of(draft_of(experiment)) != arguments["draft"]:
        raise WrongStateError(
            f"draft '{experiment.key}' was edited since it was proposed: propose it again"
        )
    return start_experiment(experiment=experiment, by=by, approvals=approvals)


def _change_shares(
    experiment: Experiment, arguments: Mapping[str, Any], by: str, approvals: Sequence[str]
) -> object:
    change = Change(**arguments)
    return change_shares(experiment=experiment, change=change, by=by, approvals=approvals)


def _continue_ramp(
    experiment: Experiment, arguments: Mapping[str, Any], by: str, approvals: Sequence[str]
) -> object:
    return continue_ramp(experiment=experiment, by=by, approvals=approvals, **arguments)


def _switch_on(experiment: Experiment, _: Mapping[str, Any], by: str, approvals: Sequence[str]) -> None:
    switch(experiment=experiment, enabled=True, by=by, approvals=approvals)


_ACTS: Mapping[str, Callable[[Experiment, Mapping[str, Any], str, Sequence[str]], object]] = {
    "start": _start,
    "change shares": _change_shares,
    "continue ramp": _continue_ramp,
    "switch on": _switch_on,
}
