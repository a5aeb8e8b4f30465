"""Retrain a surface's model on what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.programme.tested_version import last_tested_version
from experiments.training_data.decisions import decisions_of
from experiments.training_data.examples import examples_of
from experiments.training_data.interactions import answers_of
from experiments.training_data.preferences import preferences_of
from experiments.training_data.signals import likes_of
from experiments.training_data.texts import texts_of
from inference.actions.queue_training import queue_training
from inference.algorithms import PRETRAIN
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.models import TrainingRun
    from inference.training.decisions import Decisions
    from inference.training.snapshot import Answers, Examples, Likes, Preferences, Texts


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
    ranks = surface.kind == Surface.Kind.RECOMMEND
    return queue_training(
        surface=surface,
        algorithm=algorithm,
        rows=_rows_of(surface),
        trigger=trigger,
        params=params,
        beside=_beside(surface, algorithm) if ranks else None,
        skip_unchanged=skip_unchanged,
        tested_version=last_tested_version(surface),
    )


def _rows_of(surface: Surface) -> Likes | Examples | Preferences | Decisions:
    """Return what a surface of this kind learns from."""
    match surface.kind:
        case Surface.Kind.CLASSIFY:
            return examples_of(surface)
        case Surface.Kind.GENERATE:
            return preferences_of(surface)
        case Surface.Kind.RANK:
            return decisions_of(surface)
    return likes_of(surface)


def _beside(surface: Surface, algorithm: str) -> Answers | Texts | None:
    """Return what a run of a recommender reads beside its rows."""
    return texts_of(surface.project_id) if algorithm == PRETRAIN else answers_of(surface)
