"""Train anew what serves and has learnt from a person who was erased since."""

from __future__ import annotations

from experiments.actions.retrain_surface import retrain_surface
from inference.actions.queue_training import CannotTrainError
from inference.models import ModelVersion


def retrain_after_erasure(*, project_id: int, by: str) -> dict[str, str]:
    """Queue a run of each champion's own recipe whose training data were destroyed.

    Args:
        project_id: whose surfaces.
        by: who asks, for the audit trail.

    Returns:
        By the key of the surface, the run that was queued, or why there is none.
    """
    champions = ModelVersion.objects.champions().filter(
        surface__project_id=project_id, snapshot__destroyed_at__isnull=False
    )
    queued = {}
    for champion in champions.select_related("surface").order_by("surface__key"):
        surface = champion.surface
        try:
            run = retrain_surface(
                surface=surface, algorithm=champion.recipe, trigger=by, params=champion.params
            )
        except CannotTrainError as error:
            queued[surface.key] = f"not trained: {error}"
        else:
            queued[surface.key] = f"run {run.pk} of {champion.recipe} queued"
    return queued
