"""Popularity: what most units like; the baseline that every model must beat."""

from __future__ import annotations

import numpy as np

from inference.recommenders.protocol import FitOptions, TrainingData, default_order, no_history
from inference.serving.artifact import Draft


class Popularity:
    """Scores an item by log(1 + likes)."""

    name = "popularity"
    needs_vectors = False
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> Draft:
        """Count likes."""
        likes = data.popularity
        options.report(1.0, "counted likes")
        empty = np.zeros((len(data.item_ids), 0), dtype=np.float32)
        return Draft(
            item_ids=data.item_ids,
            item_vectors=empty,
            context_vectors=empty,
            bias=np.log1p(likes).astype(np.float32),
            default_order=default_order(likes, most=len(data.item_ids)),
            about={"recommender": self.name},
            **no_history(0),
        )
