"""More users for what is tested, where two people approve: it is proposed, and waits for the second.

To start a test, to raise a treatment's share, to take a ramp's next step early, to lift a hold and to
turn a test on again show what is not proven to more users. Less waits for nobody: to lower a share, to
hold, to turn off and to stop guard users at once. What the platform does by the agreed programme is
agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from django.utils import timezone

from experiments.actions.propose import ProposalDraft, propose
from experiments.models import Experiment, Programme, Proposal, programme_of
from experiments.models.experiment import WrongStateError
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ExposureVerb = Literal["start", "change shares", "continue ramp", "switch on"]
REASON = "what is tested would be shown to more users"


class ExposureAwaitsApprovalError(WrongStateError):
    """A change that was proposed instead: a second person must approve it."""

    code = "needs_approval"


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a person wants to do.

    Attributes:
        verb: which act.
        changed: value before and after of each field of the experiment that changes.
        by: who acts, for the audit trail: a key, a person.
        person: whose word it is: two keys of one owner are one person.
        approvals: the people who have approved it, where it was proposed.
        arguments: of the act, as JSON.
    """

    verb: ExposureVerb
    changed: Mapping[str, Sequence[Any]]
    by: str
    person: str
    approvals: Sequence[str] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)


def propose_exposure(experiment: Experiment, exposure: Exposure) -> Proposal | None:
    """Propose it where the programme wants two people; None where it may be done now.

    In the caller's transaction, which holds the lock of the experiment and raises `awaiting` once it is
    committed.
    """
    if len(set(exposure.approvals)) > 1:
        return None
    # Before its proposals; and a change of the rule waits here, or this waits for it.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=experiment.surface_id)
    if programme_of(surface).approval != Programme.Approval.TWO_PERSONS:
        return None
    evidence = {
        "verb": exposure.verb,
        "changed": {name: list(values) for name, values in exposure.changed.items()},
        "arguments": dict(exposure.arguments),
    }
    # One is open per experiment: who proposes another change takes the earlier one's place.
    earlier = Proposal.objects.open_now().filter(experiment=experiment, kind=Proposal.Kind.EXPOSE)
    earlier.exclude(evidence=evidence).update(
        state=Proposal.State.WITHDRAWN,
        outcome="another change was proposed",
        decided_at=timezone.now(),
    )
    return propose(
        ProposalDraft(
            surface=surface,
            kind=Proposal.Kind.EXPOSE,
            reason=REASON,
            experiment=experiment,
            evidence=evidence,
            by=exposure.by,
            approved_by=exposure.person,
        )
    )


def awaiting(proposal: Proposal) -> ExposureAwaitsApprovalError:
    """Return the refusal of an act that was proposed instead."""
    return ExposureAwaitsApprovalError(
        f"experiment '{proposal.target}' waits for a second person: approve proposal {proposal.pk}"
    )


def present_values(experiment: Experiment) -> dict[str, Any]:
    """Return what a proposal may change of an experiment, as it is now."""
    return {
        "state": experiment.state,
        "allocation": experiment.allocation,
        "weights": {variant.key: variant.weight for variant in experiment.variants.all()},
        "enabled": experiment.enabled,
        "ramp_hold": experiment.ramp_hold,
    }
