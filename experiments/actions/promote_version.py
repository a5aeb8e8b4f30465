"""Make a version the champion: by a person's word, or because there was none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from experiments.actions.mark_units import mark_all_units
from experiments.actions.record_decision import DecisionDraft, record_decision
from experiments.models import Decision, Experiment
from inference.actions.move_champion import CannotPromoteError, move_champion
from inference.cache import cache_client
from inference.serving.changes import announce_change, read_back

if TYPE_CHECKING:
    from inference.models import ModelVersion


def promote_version(*, version: ModelVersion, by: str, reason: str) -> Decision:
    """Move the champion, record why, and read it back from serving.

    Raises:
        CannotPromoteError: it is the champion already, or an experiment compares the champion now.
    """
    with transaction.atomic():
        if Experiment.objects.running().filter(surface=version.surface).exists():
            raise CannotPromoteError(
                f"surface '{version.surface}' has a running experiment: stop it first."
            )
        replaced = move_champion(
            surface_id=version.surface_id, version_id=version.pk, by=by, reason=reason
        )
        decision = record_decision(
            DecisionDraft(
                surface=version.surface,
                action=Decision.Action.PROMOTE,
                reason=reason,
                made_by=by,
                promoted=version,
                replaced=replaced,
            )
        )
    confirm_champion(decision)
    return decision


def confirm_champion(decision: Decision) -> None:
    """Announce a champion that was committed, and keep what serving says to it."""
    announce_change(cache_client())
    mark_all_units(surface=decision.surface)
    if decision.promoted_id is None:
        return
    decision.read_back = read_back(
        cache_client(), "champion", decision.surface_id, decision.promoted_id
    )
    decision.save(update_fields=["read_back"])
