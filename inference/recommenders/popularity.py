"""Popularity: what most units like lately; the baseline that every model must beat."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.options import FitOptions, Span, bounded, read_params
from inference.recommenders.protocol import default_order
from inference.serving.scorers import draft_vectors

if TYPE_CHECKING:
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData

DAY = 86_400.0


@dataclass(frozen=True)
class PopularityParams:
    """Hyper-parameters.

    Attributes:
        half_life_days: a like of this age counts half; 0 for no decay.
        dislike: how many likes a dislike takes away; 0 ignores them.
    """

    half_life_days: float = bounded(90.0, low=0, high=1e6, drawn=Span(3, 730))
    dislike: float = bounded(1.0, low=0, high=1000)


class Popularity:
    """Scores an item by log(1 + decayed likes)."""

    name = "popularity"
    params = PopularityParams
    reads: frozenset[str] = frozenset()
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Count likes."""
        params = read_params(PopularityParams, options.params)
        counts = data.weights
        if params.half_life_days > 0:
            counts = counts * 0.5 ** (data.age / (params.half_life_days * DAY))
        _, items = data.pairs
        likes = np.bincount(items, counts, minlength=len(data.item_ids))
        _, refused = data.refused_pairs
        likes = np.maximum(likes - params.dislike * np.bincount(refused, minlength=len(likes)), 0.0)
        options.report(1.0, "counted likes")
        empty = np.zeros((len(data.item_ids), 0), dtype=np.float32)
        return draft_vectors(
            item_ids=data.item_ids,
            item_vectors=empty,
            context_vectors=empty,
            bias=np.log1p(likes).astype(np.float32),
            default_order=default_order(likes, limit=len(data.item_ids)),
            about={"algorithm": self.name, "params": asdict(params)},
        )
