"""Make a refit of the champion's recipe the champion without a test, where the programme allows it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import (
    check_place_of,
    confirm_champion,
    make_champion,
)
from experiments.actions.propose import ProposalDraft, propose, withdraw_refits
from experiments.looks.answer_shares import answer_shares
from experiments.models import Experiment, Programme, Proposal, programme_of
from experiments.programme.refits import next_refit, refit_reason, refit_view
from inference.actions.check_servable import check_servable
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from experiments.models import Decision
    from inference.models import ModelVersion

logger = logging.getLogger(__name__)


def refresh_champion(surface: Surface) -> bool:
    """Promote the newest refit that passes; return whether nothing else is to be tested this turn.

    It waits while a test runs, while the autopilot is paused and while people conduct experiments
    (`start_experiments` off). A holdback does not hold it up: its variants go on serving the two
    versions that were tested. Where two people approve, it is proposed to them.

    Raises:
        CannotPromoteError: a web process cannot serve it; it is tried again.
    """
    programme = programme_of(surface)
    if programme.paused or not surface.start_experiments:
        return False
    if Experiment.objects.running().tests().filter(surface=surface).exists():
        return False
    version = next_refit(programme)
    if version is None:
        return False
    if programme.approval == Programme.Approval.TWO_PERSONS:
        _propose(surface, version)
        return True
    check_place_of(version)
    answered = check_servable(version)  # before the transaction: it waits for processes
    decision = _promote(surface, version, answered)
    if decision is not None:
        confirm_champion(decision)
    return True


def refit_evidence(version: ModelVersion, replaced: ModelVersion | None) -> dict[str, Any]:
    """Return what a decision keeps of a refit: its comparison, and how the champion before served."""
    return {
        "refit": dict(refit_view(version)),
        "before": answer_shares(replaced).as_json() if replaced is not None else None,
    }


def _promote(surface: Surface, version: ModelVersion, answered: Mapping[str, float]) -> Decision | None:
    with transaction.atomic():
        lock_surface(surface.pk)
        # Meanwhile a person may have paused the programme or held the version, another process may have
        # promoted it, or a newer one may have passed.
        programme = programme_of(Surface.objects.get(pk=surface.pk))
        if programme.paused or next_refit(programme) != version:
            return None
        check_place_of(version)
        champion = surface.versions.champions().first()
        return make_champion(
            version=version,
            by=PLATFORM,
            reason=refit_reason(version),
            answered=answered,
            evidence=refit_evidence(version, champion),
        )


def _propose(surface: Surface, version: ModelVersion) -> None:
    with transaction.atomic():
        Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)  # before its proposals
        withdraw_refits(surface, but=version)
        propose(
            ProposalDraft(
                surface=surface,
                kind=Proposal.Kind.SHIP,
                reason=refit_reason(version),
                version=version,
                evidence={"refit": dict(refit_view(version))},
            )
        )
