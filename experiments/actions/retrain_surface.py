"""Retrain a surface's model on what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.analysis.interactions import likes_of
from inference.actions.queue_training import queue_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import Surface, TrainingRun


def retrain_surface(
    *,
    surface: Surface,
    recommender: str,
    trigger: str,
    params: Mapping[str, Any] | None = None,
    skip_unchanged: bool = False,
) -> TrainingRun:
    """Freeze the recorded likes and queue a run on them.

    Raises:
        CannotTrainError: an unknown recommender, nothing to learn from, or a run that is active.
    """
    return queue_training(
        surface=surface,
        recommender=recommender,
        likes=likes_of(surface),
        trigger=trigger,
        params=params,
        skip_unchanged=skip_unchanged,
    )
