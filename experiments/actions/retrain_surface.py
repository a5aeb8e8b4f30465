"""Retrain a surface's model on what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.programme.tested_version import last_tested_version
from experiments.training_data.examples import examples_of
from experiments.training_data.interactions import answers_of
from experiments.training_data.signals import likes_of
from inference.actions.queue_training import queue_training
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import TrainingRun


def retrain_surface(
    *,
    surface: Surface,
    algorithm: str,
    trigger: str,
    params: Mapping[str, Any] | None = None,
    skip_unchanged: bool = False,
) -> TrainingRun:
    """Freeze what was recorded and queue a run on it.

    Raises:
        CannotTrainError: an unknown algorithm, nothing to learn from, or a run that is active.
    """
    classifies = surface.kind == Surface.Kind.CLASSIFY
    rows = examples_of(surface) if classifies else likes_of(surface)
    return queue_training(
        surface=surface,
        algorithm=algorithm,
        rows=rows,
        trigger=trigger,
        params=params,
        answers=None if classifies else answers_of(surface),
        skip_unchanged=skip_unchanged,
        tested_version=last_tested_version(surface),
    )
