"""Vectors that read the context of a request; the formula stands in `inference.serving.scorers`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.vector_forms import Vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import ArtifactDraft, Floats, Indices

    Load = Callable[[str], NDArray[Any]]  # returns an array of the artifact by its name

CONTEXTUAL = "contextual"
FEATURE_IS = "="  # between a feature's name, which has none, and its word


class ContextualVectors(Vectors):
    """Vectors, with a unit's vector moved by the words of its request's context.

    Attributes:
        features: names of what is read of the context.
    """

    def __init__(self, load: Load) -> None:
        """Map the arrays."""
        super().__init__(load)
        self._vectors: Floats = np.array(load("feature_vectors"))
        pairs = [str(word).split(FEATURE_IS, 1) for word in load("feature_words")]
        self._rows = {(name, word): row for row, (name, word) in enumerate(pairs)}
        self.features = tuple(dict.fromkeys(name for name, _ in pairs))

    def context_scores(self, items: Indices, words: Mapping[str, str]) -> Floats:
        """Return what a context adds to the scores of items, (m,)."""
        rows = [self._rows[pair] for pair in words.items() if pair in self._rows]
        if not rows:
            return np.zeros(len(items), np.float32)
        scores: Floats = self.item_vectors[items] @ self._vectors[rows].sum(0)
        return scores


def with_context(draft: ArtifactDraft, words: Sequence[str], vectors: Floats) -> ArtifactDraft:
    """Return a draft of the form `contextual`.

    Args:
        draft: of the form `vectors`.
        words: `feature=word`, v of them.
        vectors: F, float32 (v, d).
    """
    arrays = {**draft.arrays, "feature_words": np.array(words), "feature_vectors": vectors}
    return replace(draft, form=CONTEXTUAL, arrays=arrays)
