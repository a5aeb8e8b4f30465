"""Make a version the champion: by a person's word, or because there was none."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.db import transaction
from redis.exceptions import RedisError

from experiments.actions.close_holdback import close_overtaken
from experiments.actions.count_orders import count_before_serving
from experiments.actions.lock_order import lock_surface
from experiments.actions.mark_units import mark_soon
from experiments.actions.propose_promotion import HandPromotion, require_second_person
from experiments.actions.record_decision import DecisionDraft, record_decision
from experiments.models import Decision, Experiment
from inference.actions.check_servable import check_servable
from inference.actions.move_champion import CannotPromoteError, move_champion
from inference.cache import cache_client
from inference.serving.changes import announce_change, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import ModelVersion

logger = logging.getLogger(__name__)


def promote_version(*, version: ModelVersion, by: str, reason: str, person: str = "") -> Decision:
    """Move the champion, record why, and read it back from serving.

    Before anything moves, every live web process has loaded the version and answered with it.

    Args:
        version: the new champion.
        by: who acts, for the audit trail.
        reason: in words.
        person: whose word it is, where two people approve; empty: `by`.

    Raises:
        AwaitsApprovalError: two people must approve; it is proposed.
        CannotPromoteError: it is the champion already, an experiment compares the champion now, or a
            web process cannot serve it.
    """
    check_place_of(version)
    require_second_person(HandPromotion(version.surface, version, by, person or by, reason))
    answered = check_servable(version)
    count_before_serving(versions=[version])
    # After the processes were asked, which takes seconds: no lock is held while they load it.
    with transaction.atomic():
        lock_surface(version.surface_id)
        # Again: an experiment may have started while processes were asked. None starts from here on.
        check_place_of(version)
        decision = make_champion(version=version, by=by, reason=reason, answered=answered)
    confirm_champion(decision)
    return decision


def make_champion(
    *,
    version: ModelVersion,
    by: str,
    reason: str,
    answered: Mapping[str, float],
    evidence: Mapping[str, object] = MappingProxyType({}),
) -> Decision:
    """Move the champion and record it, inside the caller's transaction, which has locked the surface.

    Args:
        version: the new champion.
        by: who moves it.
        reason: in words.
        answered: milliseconds per web process, from `check_servable`.
        evidence: what else the decision keeps.

    Raises:
        CannotPromoteError: it is the champion already.
    """
    replaced = move_champion(surface_id=version.surface_id, version_id=version.pk, by=by, reason=reason)
    close_overtaken(surface_id=version.surface_id, by=by)
    return record_decision(
        DecisionDraft(
            surface=version.surface,
            action=Decision.Action.PROMOTE,
            reason=reason,
            created_by=by,
            promoted=version,
            replaced=replaced,
            evidence={**promotion_evidence(version, answered), **evidence},
        )
    )


def check_place_of(version: ModelVersion) -> None:
    """Refuse a version that cannot become champion now.

    Raises:
        CannotPromoteError: the surface has a running test or is archived, or it is champion already.
    """
    if why := version.surface.archived_sentence:
        raise CannotPromoteError(why)
    if Experiment.objects.running().tests().filter(surface=version.surface).exists():
        raise CannotPromoteError(
            f"surface '{version.surface}' has a running experiment: stop it first, or in the same act "
            "with stop_experiment (`--stop-experiment`)."
        )
    version.refresh_from_db(fields=["alias"])
    if version.alias == version.Alias.CHAMPION:
        raise CannotPromoteError(f"{version.label} is the champion of '{version.surface}' already.")


def promotion_evidence(version: ModelVersion, answered: Mapping[str, float]) -> dict[str, object]:
    """Return what a decision keeps of a promotion: who had answered with it, and the gate's refusal."""
    evidence: dict[str, object] = {"answered_ms": dict(answered)}
    if version.gate_refusal:
        evidence["gate_refusal"] = version.gate_refusal
    return evidence


def confirm_champion(decision: Decision) -> None:
    """Announce a champion that was committed, and keep what serving says to it."""
    if decision.promoted is not None:
        count_before_serving(versions=[decision.promoted])  # whatever moved it; moments since the last
    announce_change(cache_client())
    mark_soon(surface=decision.surface)
    if decision.promoted_id is None:
        return
    try:
        decision.read_back = read_back(
            cache_client(), "champion", decision.surface_id, decision.promoted_id
        )
    except RedisError as error:  # it is committed, and processes poll: nobody can say so now
        logger.warning("the champion of '%s' is not read back: %s", decision.surface, error)
        return
    decision.save(update_fields=["read_back"])
