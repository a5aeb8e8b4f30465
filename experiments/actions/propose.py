"""Propose a change of the champion to people, and take a proposal back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.audit import record_audit
from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path, surface_path
from experiments.models import Experiment, Proposal, programme_of
from experiments.programme.safeguards import ships_by_itself
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Look


@dataclass(frozen=True, slots=True)
class ProposalDraft:
    """What is proposed.

    Attributes:
        surface: whose champion would change.
        kind: `ship` a variant, `restore` a former champion, change `settings`, or `expose` more users.
        reason: in words.
        experiment: that it comes from.
        version: which becomes champion; None where a flag's variant is shipped.
        variant: of `ship`: which.
        evidence: what else explains it, as JSON.
        by: who proposes it.
        approved_by: the person who approves it by proposing it; empty: nobody yet.
    """

    surface: Surface
    kind: str
    reason: str
    experiment: Experiment | None = None
    version: ModelVersion | None = None
    variant: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    by: str = PLATFORM
    approved_by: str = ""


@transaction.atomic
def propose(draft: ProposalDraft) -> Proposal:
    """Write a proposal and tell people, in the transaction of what it comes from.

    One is open per experiment and kind; where there is no experiment, per version, or per change of
    settings. Where there is one already, it is returned.
    """
    # Two looks may propose at once; the second finds what the first has written.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=draft.surface.pk)
    before = Proposal.objects.open_now().filter(
        surface=surface, experiment=draft.experiment, kind=draft.kind
    )
    if draft.experiment is None:
        before = before.filter(version=draft.version)
    if draft.kind == Proposal.Kind.SETTINGS:
        before = before.filter(evidence=dict(draft.evidence))
    if (existing := before.first()) is not None:
        return existing
    proposal = Proposal.objects.create(
        project_id=surface.project_id,
        surface=surface,
        experiment=draft.experiment,
        kind=draft.kind,
        variant=draft.variant,
        version=draft.version,
        reason=draft.reason,
        evidence=dict(draft.evidence),
        required_approvals=max(programme_of(surface).required_approvals, 1),
    )
    if draft.approved_by:
        proposal.approvals.create(by=draft.approved_by)
    record_audit(
        surface.project_id,
        actor=draft.by,
        action="propose",
        subject=str(draft.experiment or surface),
        detail={"proposal": proposal.pk, "kind": draft.kind, "reason": draft.reason},
    )
    _tell(proposal)
    return proposal


def propose_ship(experiment: Experiment, look: Look) -> Proposal | None:
    """Propose what a look would ship, where people approve; None where it ships by itself.

    In the look's transaction. What people declined has ended its experiment.
    """
    if look.action != "ship" or ships_by_itself(experiment):
        return None
    if experiment.purpose != Experiment.Purpose.TEST:
        return None
    variant = look.parsed_result.variant or ""
    return propose(
        ProposalDraft(
            surface=experiment.surface,
            kind=Proposal.Kind.SHIP,
            reason=look.reason,
            experiment=experiment,
            version=experiment.variants.get(key=variant).model_version,
            variant=variant,
            evidence={"look": look.number},
        )
    )


def withdraw_proposals(experiment: Experiment, *, reason: str, variant: str = "") -> int:
    """Take open proposals of an experiment back, inside the caller's transaction; return how many.

    Args:
        experiment: that has ended, or whose variant has left.
        reason: in words.
        variant: only those that would ship it; empty: all.
    """
    open_now = Proposal.objects.open_now().filter(experiment=experiment)
    if variant:
        open_now = open_now.filter(variant=variant)
    return open_now.update(state=Proposal.State.WITHDRAWN, outcome=reason, decided_at=timezone.now())


def withdraw_refits(surface: Surface, *, but: ModelVersion) -> int:
    """Take proposals of older refits back, inside the caller's transaction; return how many."""
    open_now = Proposal.objects.open_now().filter(
        surface=surface, kind=Proposal.Kind.SHIP, experiment=None
    )
    # What a person proposed by hand stays: nothing that is trained later takes its place.
    refits = open_now.filter(evidence__has_key="refit").exclude(version=but)
    return refits.update(
        state=Proposal.State.WITHDRAWN,
        outcome=f"superseded by {but.label}",
        decided_at=timezone.now(),
    )


def withdraw_fulfilled(surface_id: int) -> int:
    """Take back what would promote the champion, inside the caller's transaction; return how many."""
    fulfilled = Proposal.objects.open_now().filter(
        surface=surface_id, experiment=None, version__alias=ModelVersion.Alias.CHAMPION
    )
    return fulfilled.update(
        state=Proposal.State.WITHDRAWN, outcome="it is the champion", decided_at=timezone.now()
    )


_VERBS = {
    Proposal.Kind.SHIP: "ship",
    Proposal.Kind.RESTORE: "go back to",
    Proposal.Kind.SETTINGS: "change",
    Proposal.Kind.EXPOSE: "show more users",
}


def _tell(proposal: Proposal) -> None:
    project, experiment = proposal.project, proposal.experiment
    verb = _VERBS[Proposal.Kind(proposal.kind)]
    people = "two people" if proposal.required_approvals > 1 else "one person"
    if proposal.approvals.exists():
        people = "a second person"
    record_alert(
        project.pk,
        event=Alert.Event.DECISION_NEEDED,
        subject=experiment.title if experiment is not None else proposal.surface.key,
        summary=f"Proposed: {verb} {proposal.target} on surface '{proposal.surface}'; {people} must "
        f"approve. {proposal.reason}",
        detail={"proposal": proposal.pk, "kind": proposal.kind, "surface": proposal.surface.key},
        path=experiment_path(project.slug, experiment.key)
        if experiment is not None
        else surface_path(project.slug, proposal.surface.key),
    )
