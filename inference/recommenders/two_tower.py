"""Two towers over text: an item tower on the encoder's vector, a unit tower of attention over items.

The first rung of the training ladder: the encoder is frozen and only the heads learn. An item is a
head over its text plus a small vector of its own, learnt from behaviour and zero for an item that
nobody liked yet, so that a new item is placed by its text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.options import read_params
from inference.serving.contextual import with_context
from inference.serving.scorers import draft_vectors
from inference.training.head_params import HeadParams

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData


class TwoTower:
    """Heads over frozen text vectors, trained by a full softmax over the catalogue."""

    name = "two-tower"
    params = HeadParams
    reads = frozenset({"vectors", "images"})
    seeds = 3
    probe_params: ClassVar = {"epochs": 3, "most_steps": 60}

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Train the heads.

        Raises:
            ValueError: there are no vectors, or no unit liked two items.
        """
        # torch is imported by the training subprocess alone, when it gets here.
        from inference.training.context_words import ContextWords  # noqa: PLC0415
        from inference.training.heads import train_heads  # noqa: PLC0415

        if data.item_vectors is None:
            raise ValueError("item_vectors == None, must be given to 'two-tower'.")
        params = read_params(HeadParams, options.params)
        words = ContextWords.of(data) if params.context else ContextWords()
        towers = train_heads(data, params, options, words)
        draft = draft_vectors(
            item_ids=data.item_ids,
            item_vectors=towers.item_vectors,
            context_vectors=towers.context_vectors,
            bias=towers.bias,
            attention=towers.attention,
            recency=towers.recency,
            default_order=np.argsort(-towers.bias, kind="stable")[:1000].astype(np.int32),
            about={
                "algorithm": self.name,
                "params": params.as_json(),
                "seed": options.seed,
            },
        )
        return with_context(draft, words.names, towers.features) if words.names else draft
