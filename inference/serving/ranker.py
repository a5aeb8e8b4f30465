"""A loaded artifact: scores items for a unit, one at a time or many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.artifact import Floats, Indices, check_artifact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FULL_SCAN_LIMIT = 20_000  # above it a request scores the default list instead of every item


class Ranker:
    """Numpy arrays of one version, mapped from disk and shared between processes by the system."""

    def __init__(self, root: Path, digest: str) -> None:
        """Load and check an artifact.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        folder, manifest = check_artifact(root, digest)

        def load(name: str) -> Any:
            # A memory map of an empty array is an error in numpy.
            path = folder / f"{name}.npy"
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            # A plain view of the map: numpy pays for the subclass at every index.
            return array.view(np.ndarray) if array.size else np.zeros(array.shape, array.dtype)

        self.folder = folder
        self.about: dict[str, Any] = manifest["about"]
        self.item_ids: list[str] = json.loads((folder / "items.json").read_bytes())
        self.index = {item_id: i for i, item_id in enumerate(self.item_ids)}
        self.item_vectors: Floats = load("item_vectors")
        self.context_vectors: Floats = load("context_vectors")
        self.bias: Floats = np.array(load("bias"))
        self.attention: Floats = np.array(load("attention"))
        self.recency: Floats = np.array(load("recency"))
        self.default_order: Indices = np.array(load("default_order"))
        self.reads_history = self.item_vectors.shape[1] > 0

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that this version knows, in order."""
        index = self.index
        return [index[item_id] for item_id in item_ids if item_id in index]

    def unit_vector(self, recent: Sequence[int]) -> Floats | None:
        """Return the unit's vector (d,), or None when nothing of its history is known."""
        if not self.reads_history or not len(recent):
            return None
        context = self.context_vectors[np.asarray(recent[: len(self.recency)])]
        weights = context @ self.attention + self.recency[: len(context)]
        weights = np.exp(weights - weights.max())
        unit: Floats = (weights / weights.sum()) @ context
        return unit

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items for a unit with this history."""
        bias: Floats = self.bias[items]
        unit = self.unit_vector(recent)
        return bias if unit is None else self.item_vectors[items] @ unit + bias

    def nearline(self, recent: Sequence[int], most: int) -> Indices:
        """Return the best items for a unit without precomputed candidates."""
        if len(self.item_ids) > FULL_SCAN_LIMIT or self.unit_vector(recent) is None:
            return self.default_order[:most]
        every = np.arange(len(self.item_ids), dtype=np.int32)
        return _best(self.score(every, recent), most)

    def candidates(
        self, histories: Sequence[Sequence[int]], seen: Sequence[Sequence[int]], most: int
    ) -> list[Indices]:
        """Return the best unseen items of many units, by one matrix product.

        Args:
            histories: per unit, indices of liked items, newest first.
            seen: per unit, indices that may not be recommended.
            most: candidates a unit.

        Returns:
            Per unit, at most `most` indices, best first.
        """
        width = self.item_vectors.shape[1]
        units = np.zeros((len(histories), width), dtype=np.float32)
        known = np.zeros(len(histories), dtype=bool)
        for row, history in enumerate(histories):
            unit = self.unit_vector(history)
            if unit is not None:
                units[row], known[row] = unit, True
        scores = units @ self.item_vectors.T + self.bias if width else None
        result = []
        for row, excluded in enumerate(seen):
            if scores is not None and known[row]:
                line = scores[row].copy()
                line[list(excluded)] = -np.inf
                best = _best(line, most)
                result.append(best[np.isfinite(line[best])])
            else:
                rest = self.default_order[~np.isin(self.default_order, list(excluded))]
                result.append(rest[:most])
        return result


def _best(scores: Floats, most: int) -> Indices:
    """Return the indices of the highest scores, best first."""
    if most < len(scores):
        top = np.argpartition(-scores, most)[:most]
        return top[np.argsort(-scores[top], kind="stable")].astype(np.int32)
    return np.argsort(-scores, kind="stable").astype(np.int32)
