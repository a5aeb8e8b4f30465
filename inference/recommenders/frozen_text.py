"""Frozen text: items near the mean of a unit's recent items, by an encoder that learnt nothing here."""

from __future__ import annotations

import numpy as np

from inference.recommenders.protocol import FitOptions, TrainingData, default_order, no_history
from inference.serving.artifact import Draft


class FrozenText:
    """Cosine similarity under a pre-trained encoder."""

    name = "frozen-text"
    needs_vectors = True
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> Draft:
        """Export the encoder's vectors as they are.

        Raises:
            ValueError: there are no vectors.
        """
        if data.item_vectors is None:
            raise ValueError("item_vectors == None, must be given to 'frozen-text'.")
        options.report(1.0, "took the encoder's vectors")
        width = data.item_vectors.shape[1]
        return Draft(
            item_ids=data.item_ids,
            item_vectors=data.item_vectors,
            context_vectors=data.item_vectors,
            bias=np.zeros(len(data.item_ids), dtype=np.float32),
            default_order=default_order(data.popularity),
            about={"recommender": self.name},
            **no_history(width),
        )
