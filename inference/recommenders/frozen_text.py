"""Frozen text: items near the mean of a unit's recent items, by an encoder that learnt nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.recommenders.protocol import default_order
from inference.serving.scorers import draft_vectors

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData


class FrozenText:
    """Cosine similarity under a pre-trained encoder."""

    name = "frozen-text"
    reads = frozenset({"vectors"})
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Export the encoder's vectors as they are.

        Raises:
            ValueError: there are no vectors.
        """
        if data.item_vectors is None:
            raise ValueError("item_vectors == None, must be given to 'frozen-text'.")
        options.report(1.0, "took the encoder's vectors")
        return draft_vectors(
            item_ids=data.item_ids,
            item_vectors=data.item_vectors,
            context_vectors=data.item_vectors,
            bias=np.zeros(len(data.item_ids), dtype=np.float32),
            default_order=default_order(data.popularity),
            about={"algorithm": self.name},
        )
