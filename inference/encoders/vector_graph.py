"""Vectors of many texts in memory, and which are nearest to another: by a graph of neighbours (HNSW).

Up to some hundred thousand a product with all of them is as fast and exact; beyond, a graph of the
library `usearch` finds nearly the same after a few hundred comparisons, and holds half as many bytes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from usearch.index import Index

if TYPE_CHECKING:
    from inference.serving.artifact import Floats

CONNECTIVITY, BUILD_BREADTH, SEARCH_BREADTH = 16, 64, 256
BLOCK = 64  # vectors that are added while a search waits: some 20 ms


class VectorGraph:
    """A graph of vectors, each named by a number; searched by one thread while another adds."""

    def __init__(self, width: int) -> None:
        """Begin without vectors.

        Args:
            width: of each.
        """
        self._index = Index(
            ndim=width,
            metric="cos",
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=BUILD_BREADTH,
            expansion_search=SEARCH_BREADTH,
        )
        # The library moves what it holds when it grows.
        self._growing = threading.Lock()

    def __len__(self) -> int:
        """How many vectors there are."""
        return len(self._index)

    def put(self, keys: list[int], vectors: Floats) -> None:
        """Add vectors, (n, width), in the place of those that had these names."""
        for start in range(0, len(keys), BLOCK):
            names = np.array(keys[start : start + BLOCK], dtype=np.uint64)
            with self._growing:
                held = names[np.atleast_1d(self._index.contains(names))]
                if len(held):
                    self._index.remove(held)
                self._index.add(names, np.asarray(vectors[start : start + BLOCK]), threads=1)

    def remove(self, key: int) -> None:
        """Forget a vector, if there is one of that name."""
        with self._growing:
            if key in self._index:
                self._index.remove(key)

    def nearest(self, vector: Floats, count: int) -> list[tuple[int, float]]:
        """Return the names and cosines of about the nearest, best first, at most `count`."""
        if not len(self._index):
            return []
        with self._growing:
            matches = self._index.search(vector, min(count, len(self._index)), threads=1)
        cosines = 1.0 - np.asarray(matches.distances, dtype=np.float64)
        return list(zip(np.asarray(matches.keys).astype(int).tolist(), cosines.tolist(), strict=True))
