"""Approve or decline what the platform proposes; the last approval carries it out in the same call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.carry_out import Verdict, check_winner, end_by_verdict
from experiments.actions.carry_out_exposure import carry_out_exposure
from experiments.actions.change_programme import CannotChangeProgrammeError, change_programme
from experiments.actions.count_orders import count_before_serving
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import check_place_of, confirm_champion, make_champion
from experiments.actions.refresh_champion import refit_evidence
from experiments.actions.start_experiment import CannotStartError
from experiments.actions.stop_and_promote import stop_tests
from experiments.actions.tidy_queue import leave_queue
from experiments.models import Approval, Decision, Experiment, Proposal, programme_of
from experiments.models.experiment import WrongStateError
from experiments.programme.queue_types import LeftQueue
from inference.actions.check_servable import check_servable
from inference.actions.move_champion import CannotPromoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import ModelVersion


class CannotDecideError(RefusedError):
    """A proposal that is decided, or that this person has approved; the message says which."""


def approve_proposal(*, proposal: Proposal, by: str, note: str = "", actor: str = "") -> Proposal:
    """Approve; the last approval that is needed carries it out.

    Where a web process cannot serve the version, the proposal stays open with the reason, and whoever
    has approved it may approve it again.

    Args:
        proposal: that is open.
        by: the person: two keys of one owner are one.
        note: for those who read it later.
        actor: who is written in the audit trail: a key; empty: the person.

    Raises:
        CannotDecideError: it is decided, or needs another person than `by`.
        CannotPromoteError: the version cannot be served now.
        CannotChangeProgrammeError: the settings break a rule by now.
        WrongStateError: its experiment has ended or changed meanwhile, or cannot start.
    """
    actor = actor or by
    if not _approve(proposal, by, note, actor):
        proposal.refresh_from_db()
        return proposal
    try:
        _carry_out(proposal, actor)
    except CannotStartError as error:
        _refuse(proposal, str(error))
        raise WrongStateError(str(error)) from error
    except (CannotPromoteError, CannotChangeProgrammeError, WrongStateError) as error:
        _refuse(proposal, str(error))
        raise
    proposal.refresh_from_db()
    return proposal


def decline_proposal(*, proposal: Proposal, by: str, reason: str = "", actor: str = "") -> Proposal:
    """Decline it: an experiment that would ship ends without a verdict, and the champion stays.

    Args:
        proposal: that is open.
        by: the person.
        reason: for those who read it later.
        actor: who is written in the audit trail: a key; empty: the person.

    Raises:
        CannotDecideError: it is decided.
    """
    actor = actor or by
    words = f"declined by {by}{f': {reason}' if reason else ''}"
    with transaction.atomic():
        locked = _lock_both(proposal)
        locked.state, locked.outcome, locked.decided_at = Proposal.State.DECLINED, words, timezone.now()
        locked.save(update_fields=["state", "outcome", "decided_at"])
        decision = None
        if locked.kind == Proposal.Kind.SHIP and locked.experiment is not None:
            # Left running it would be proposed anew by the next look.
            verdict = Verdict(action=Decision.Action.STOP_INCONCLUSIVE, reason=words)
            decision = end_by_verdict(
                experiment=locked.experiment, verdict=verdict, by=actor, answered={}
            )
        else:
            if "refit" in locked.evidence and locked.version is not None:
                # Else the next turn would propose it anew.
                leave_queue(locked.version, cause=LeftQueue.DROPPED, by=actor, reason=words)
            _audit(locked, actor, "decline", reason)
    if decision is not None:
        confirm_champion(decision)
    return locked


def _refuse(proposal: Proposal, why: str) -> None:
    Proposal.objects.open_now().filter(pk=proposal.pk).update(refusal=why)


def _approve(proposal: Proposal, by: str, note: str, actor: str) -> bool:
    """Write an approval; return whether there are as many as it needs."""
    with transaction.atomic():
        locked = _lock(proposal)
        _, is_new = Approval.objects.get_or_create(proposal=locked, by=by, defaults={"note": note})
        # The rule may have become stricter since it was proposed.
        needed = max(locked.required_approvals, programme_of(locked.surface).required_approvals)
        complete = locked.approvals.count() >= needed
        if not complete:
            if not is_new:
                raise CannotDecideError(
                    f"'{by}' has approved proposal {locked.pk} already: a second person must approve."
                )
            _audit(locked, actor, "approve", note)
    return complete


def _lock_both(proposal: Proposal) -> Proposal:
    # The experiment first, as whatever ends it does before it takes proposals back.
    if proposal.experiment_id is not None:
        Experiment.objects.select_for_update(no_key=True).get(pk=proposal.experiment_id)
    return _lock(proposal)


def _lock(proposal: Proposal) -> Proposal:
    # Two people may decide at once: the second sees what the first has decided.
    locked = (
        Proposal.objects.select_for_update(of=("self",)).select_related("surface").get(pk=proposal.pk)
    )
    if locked.state != Proposal.State.OPEN:
        raise CannotDecideError(f"proposal {locked.pk} is {locked.state}, must be open.")
    return locked


def _carry_out(proposal: Proposal, by: str) -> None:
    if proposal.kind == Proposal.Kind.SHIP:
        _ship(proposal, by)
    elif proposal.kind == Proposal.Kind.SETTINGS:
        _change_settings(proposal, by)
    elif proposal.kind == Proposal.Kind.EXPOSE:
        carry_out_exposure(
            proposal, by=by, approvals=_names(proposal), close=lambda: _close(_lock(proposal))
        )
    else:
        _restore(proposal, by)


def _ship(proposal: Proposal, by: str) -> None:
    experiment = proposal.experiment
    if experiment is None:
        _ship_version(proposal, by)
        return
    experiment.refresh_from_db()
    verdict = Verdict(
        action=Decision.Action.SHIP,
        reason=proposal.reason,
        variant=proposal.variant,
        look=experiment.looks.filter(number=proposal.evidence.get("look")).first(),
        approvals=_names(proposal),
    )
    answered = check_winner(experiment, verdict)  # before the transaction: it waits for processes
    with transaction.atomic():
        lock_surface(proposal.surface_id)
        _close(_lock(proposal))
        decision = end_by_verdict(experiment=experiment, verdict=verdict, by=by, answered=answered)
    confirm_champion(decision)


def _ship_version(proposal: Proposal, by: str) -> None:
    """Promote a version that no test has compared: a refit, or one that a person chose."""
    stops = bool(proposal.evidence.get("by_hand", {}).get("stop_experiment"))
    is_refit = "refit" in proposal.evidence
    version = _version_of(proposal)
    if not stops:
        check_place_of(
            version
        )  # a test that runs compares the champion: the proposal waits for its end
    answered = check_servable(version)
    count_before_serving(versions=[version])
    reason = _reason(proposal)
    with transaction.atomic():
        running = lock_surface(proposal.surface_id)
        _close(_lock(proposal))
        if stops:
            stop_tests(running, by=by, reason=reason)
        check_place_of(version)
        champion = proposal.surface.versions.champions().first()
        evidence = refit_evidence(version, champion) if is_refit else {}
        decision = make_champion(
            version=version,
            by=by,
            reason=reason,
            answered=answered,
            evidence={**evidence, "approvals": list(_names(proposal))},
        )
    confirm_champion(decision)


def _restore(proposal: Proposal, by: str) -> None:
    version = _version_of(proposal)
    answered: Mapping[str, float] = check_servable(version)
    count_before_serving(versions=[version])
    reason = _reason(proposal)
    with transaction.atomic():
        running = lock_surface(proposal.surface_id)
        _close(_lock(proposal))
        # What runs was compared with the champion that leaves.
        stop_tests(running, by=by, reason=reason)
        decision = make_champion(version=version, by=by, reason=reason, answered=answered)
    confirm_champion(decision)


def _change_settings(proposal: Proposal, by: str) -> None:
    with transaction.atomic():
        lock_surface(proposal.surface_id)
        _close(_lock(proposal))
        change_programme(
            surface=proposal.surface,
            changes={name: after for name, (_, after) in proposal.evidence["changed"].items()},
            by=by,
            approvals=_names(proposal),
        )


def _version_of(proposal: Proposal) -> ModelVersion:
    if proposal.version is None:
        raise CannotDecideError(f"proposal {proposal.pk} names no version.")
    return proposal.version


def _reason(proposal: Proposal) -> str:
    return f"{proposal.reason} (approved by {', '.join(_names(proposal))})"


def _close(proposal: Proposal) -> None:
    proposal.state, proposal.decided_at, proposal.refusal = Proposal.State.APPROVED, timezone.now(), ""
    proposal.save(update_fields=["state", "decided_at", "refusal"])


def _names(proposal: Proposal) -> tuple[str, ...]:
    return tuple(proposal.approvals.values_list("by", flat=True))


def _audit(proposal: Proposal, by: str, action: str, note: str) -> None:
    record_audit(
        proposal.project_id,
        actor=by,
        action=action,
        subject=str(proposal.experiment or proposal.surface),
        detail={"proposal": proposal.pk, "kind": proposal.kind, "note": note},
    )
