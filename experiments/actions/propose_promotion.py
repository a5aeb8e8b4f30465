"""A promotion by hand where two people approve: it is proposed, and waits for the second of them.

Back to a former champion waits for nobody: a rollback is needed when something burns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.propose import ProposalDraft, propose
from experiments.models import Programme, Proposal, programme_of
from inference.actions.move_champion import CannotPromoteError
from inference.models import ModelVersion

if TYPE_CHECKING:
    from experiments.models import Experiment
    from inference.models import Surface


class AwaitsApprovalError(CannotPromoteError):
    """A promotion that was proposed instead: a second person must approve it."""

    code = "needs_approval"


@dataclass(frozen=True, slots=True)
class HandPromotion:
    """What a person wants to promote.

    Attributes:
        surface: where.
        version: that becomes champion; None where a flag's variant is shipped.
        by: who acts, for the audit trail: a key, a person.
        person: whose word it is: two keys of one owner are one person.
        reason: in words.
        experiment: that ends with it.
        variant: of the experiment.
        stop_experiment: whether the surface's tests end without a verdict in the same act.
    """

    surface: Surface
    version: ModelVersion | None
    by: str
    person: str
    reason: str
    experiment: Experiment | None = None
    variant: str = ""
    stop_experiment: bool = False


def require_second_person(promotion: HandPromotion) -> None:
    """Propose a promotion, with its person's approval, where the programme wants two people.

    Raises:
        AwaitsApprovalError: it does; the message names the proposal.
    """
    if _starts_surface(promotion) or _was_champion(promotion.version):
        return
    if programme_of(promotion.surface).approval != Programme.Approval.TWO_PERSONS:
        return
    proposal = _propose(promotion)
    target = promotion.version.label if promotion.version is not None else promotion.variant
    raise AwaitsApprovalError(
        f"{target} waits for a second person on surface '{promotion.surface}': approve proposal "
        f"{proposal.pk}."
    )


def _propose(promotion: HandPromotion) -> Proposal:
    return propose(
        ProposalDraft(
            surface=promotion.surface,
            kind=Proposal.Kind.SHIP,
            reason=promotion.reason,
            experiment=promotion.experiment,
            version=promotion.version,
            variant=promotion.variant,
            evidence={"by_hand": {"stop_experiment": promotion.stop_experiment}},
            by=promotion.by,
            approved_by=promotion.person,
        )
    )


def _starts_surface(promotion: HandPromotion) -> bool:
    """Whether the platform gives a surface its first champion; a person may have its name, too."""
    return promotion.by == PLATFORM and not promotion.surface.versions.champions().exists()


def _was_champion(version: ModelVersion | None) -> bool:
    """Whether a version has served everybody before, and was not rejected since."""
    if version is None or version.alias == ModelVersion.Alias.REJECTED:
        return False
    champion = ModelVersion.Alias.CHAMPION
    return version.alias == ModelVersion.Alias.RETIRED or version.moves.filter(after=champion).exists()
