"""The forms that score an item by its vector: s(i) = V[i] · u + b[i], u of the recent items.

What they have in common makes an index over the items possible: `inference.serving.item_index`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.serving.item_index import ItemIndex

    Load = Callable[[str], NDArray[Any]]  # returns an array of the artifact by its name

MAX_HISTORY = 50  # recent items that are read; a request carries no more


class ByVector:
    """A form of item vectors and a unit's vector; a subclass loads them and says `unit_vector`.

    Attributes:
        item_vectors: V, (n, d).
        bias: b, (n,).
        reads_history: whether a unit's recent items change the scores.
        index: over the items; None where all are scored.
    """

    item_vectors: Floats
    bias: Floats
    reads_history = True
    index: ItemIndex | None = None

    def unit_vector(self, recent: Sequence[int]) -> Floats:
        """Return the unit's vector (d,) of its recent items, newest first, at least one."""
        raise NotImplementedError

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Score some items for one unit."""
        bias: Floats = self.bias[items]
        if not self.reads_history or not len(recent):
            return bias
        # `take` copies rows at twice the speed of an index.
        return self.item_vectors.take(items, axis=0) @ self.unit_vector(recent) + bias

    def score_all(self, histories: Sequence[Sequence[int]]) -> Floats:
        """Score every item for many units, by one matrix product."""
        scores: Floats = self._units(histories) @ self.item_vectors.T + self.bias
        return scores

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items has a vector other than 0."""
        return bool(self.item_vectors[np.asarray(recent[:MAX_HISTORY], dtype=np.int64)].any())

    def near(self, histories: Sequence[Sequence[int]], count: int) -> list[Indices] | None:
        """Return about the best items of units, at most `count`; None without an index."""
        return None if self.index is None else self.index.search(self._units(histories), count)

    def _units(self, histories: Sequence[Sequence[int]]) -> Floats:
        return np.stack([self.unit_vector(history) for history in histories])


class Vectors(ByVector):
    """Attention over recent items, a dot product, and a bias."""

    def __init__(self, load: Load) -> None:
        """Map the arrays."""
        self.item_vectors: Floats = load("item_vectors")
        self.context_vectors: Floats = load("context_vectors")
        self.bias: Floats = np.array(load("bias"))
        self.attention: Floats = np.array(load("attention"))
        self.recency: Floats = np.array(load("recency"))
        self.reads_history = self.item_vectors.shape[1] > 0

    def unit_vector(self, recent: Sequence[int]) -> Floats:
        """Return the unit's vector (d,)."""
        weights, context = self._attend(recent)
        unit: Floats = weights @ context
        return unit

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items has a context vector other than 0."""
        read = np.asarray(recent[: len(self.recency)], dtype=np.int64)
        return bool(self.context_vectors[read].any())

    def _attend(self, recent: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the weight of each recent item (h,), and their context vectors (h, d)."""
        context = self.context_vectors.take(recent[: len(self.recency)], axis=0)
        weights = context @ self.attention + self.recency[: len(context)]
        weights = np.exp(weights - weights.max())  # the largest is 1: none overflows
        return weights / weights.sum(), context

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return what each recent item adds to the scores, (m, h)."""
        weights, context = self._attend(recent)
        added: Floats = self.item_vectors[items] @ (weights[:, None] * context).T
        return added


class Factors(ByVector):
    """Factors of items; a unit's are solved from its recent items."""

    def __init__(self, load: Load) -> None:
        """Map the arrays."""
        self.item_vectors: Floats = load("item_factors")
        self.gram: Floats = np.array(load("gram"))
        self.alpha = float(load("alpha")[0])
        self.bias: Floats = np.array(load("bias"))

    def unit_vector(self, recent: Sequence[int]) -> Floats:
        """Return the unit's factors (d,)."""
        # An item that was liked twice is one like: the fit saw it so.
        liked = self.item_vectors[np.unique(np.asarray(recent[:MAX_HISTORY]))]
        left = self.gram + self.alpha * liked.T @ liked
        unit: Floats = np.linalg.solve(left, (1 + self.alpha) * liked.sum(0)).astype(np.float32)
        return unit

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return what each recent item adds to the scores, (m, h); the first of equal ones adds all."""
        history = np.asarray(recent[:MAX_HISTORY])
        liked = self.item_vectors[np.unique(history)]
        left = self.gram + self.alpha * liked.T @ liked
        right = (1 + self.alpha) * self.item_vectors[history].T
        added: Floats = self.item_vectors[items] @ np.linalg.solve(left, right).astype(np.float32)
        _, first = np.unique(history, return_index=True)
        added[:, np.setdiff1d(np.arange(len(history)), first)] = 0
        return added
