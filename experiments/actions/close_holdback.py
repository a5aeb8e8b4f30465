"""End a holdback: by its days, or because what it compares has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from experiments.actions.propose import withdraw_fulfilled, withdraw_proposals
from experiments.actions.record_decision import DecisionDraft, evidence_of, record_decision
from experiments.models import Decision, Experiment, Proposal
from experiments.reports.holdback_gain import gain_of
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models.experiment import ExperimentQuerySet
    from experiments.reports.holdback_gain import GainStatus

ACTIONS: Mapping[GainStatus, Decision.Action] = {
    "confirmed": Decision.Action.CONFIRM,
    "lost": Decision.Action.LOST,
    "unclear": Decision.Action.STOP_INCONCLUSIVE,
    "unknown": Decision.Action.STOP_INCONCLUSIVE,
}


def close_holdback(*, holdback: Experiment, by: str, why: str = "") -> Decision:
    """End it inside the caller's transaction, and decide by its last look.

    Args:
        holdback: that runs.
        by: who ends it.
        why: before its days are over; empty: they are.

    Raises:
        WrongStateError: it does not run.
    """
    # A look and a promotion may end it at once: one of them finds that it runs no more.
    locked = (
        Experiment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("surface__project")
        .get(pk=holdback.pk)
    )
    locked.end()
    gain = gain_of(locked)
    if why or gain.status != "lost":
        # After its days a loss still stands, and so does what was proposed; else nothing is left of it.
        withdraw_proposals(locked, reason=f"the holdback ended: {why or gain.stored}")
    transaction.on_commit(lambda: announce_change(cache_client()))
    return record_decision(
        DecisionDraft(
            surface=locked.surface,
            action=ACTIONS[gain.status],
            reason=f"{gain.stored}; {why}" if why else gain.stored,
            created_by=by,
            experiment=locked,
            evidence=evidence_of(locked, locked.looks.last()),
        )
    )


def why_over(holdback: Experiment) -> str:
    """Return why a comparison has lost its sense before its days are over, or nothing.

    A promoted version that another one has replaced goes on serving its variant: whether its gain
    lasted can still be said. One that was rejected must not serve, and where the former champion
    serves again, the gain has been given up.
    """
    versions = {v.key: v.model_version for v in holdback.variants.select_related("model_version")}
    former, promoted = versions["former"], versions["promoted"]
    for version in (former, promoted):
        if version is not None and version.alias == ModelVersion.Alias.REJECTED:
            return f"{version.label} was rejected"
    if former is not None and former.alias == ModelVersion.Alias.CHAMPION:
        return f"{former.label} is the champion again"
    return ""


def close_overtaken(*, surface_id: int, by: str) -> None:
    """End the holdbacks that a move of the champion has overtaken, inside its transaction.

    Proposals to restore that would now replace another recipe are taken back, and those to promote
    what has become champion.
    """
    withdraw_fulfilled(surface_id)
    holdbacks = Experiment.objects.filter(surface=surface_id, purpose=Experiment.Purpose.HOLDBACK)
    for holdback in holdbacks.running().order_by("pk"):
        if why := why_over(holdback):
            close_holdback(holdback=holdback, by=by, why=why)
    _withdraw_restores(holdbacks)


def _withdraw_restores(holdbacks: ExperimentQuerySet) -> None:
    """Take back what would restore a former champion in place of another recipe than it lost to."""
    proposed = holdbacks.filter(proposals__state=Proposal.State.OPEN).select_related("surface")
    for holdback in proposed:
        if not recipe_serves(holdback):
            withdraw_proposals(holdback, reason="the champion has changed")


def recipe_serves(holdback: Experiment) -> bool:
    """Whether the promoted version, or a refit of it, is the surface's champion."""
    champion = holdback.surface.versions.champions().first()
    promoted = holdback.treatments.select_related("model_version").get().model_version
    return champion is not None and promoted is not None and champion.algorithm == promoted.algorithm
