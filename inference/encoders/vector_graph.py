"""Vectors of many texts, and which are nearest to another: by a graph of neighbours (HNSW).

Up to some hundred thousand a product with all of them is as fast and exact; beyond, a graph of the
library `usearch` finds nearly the same after a few hundred comparisons, and holds half as many bytes.
A graph that was stored is mapped, so that processes share it; what changes since lies beside it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from usearch.index import Index

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from inference.serving.artifact import Floats

CONNECTIVITY, BUILD_BREADTH, SEARCH_BREADTH = 16, 64, 256
BLOCK = 64  # vectors that are added while a search waits: some 20 ms
READ_BLOCK = 20_000  # vectors in memory while a recall is measured
MAX_OVERLAP = 1000  # changed names that a search reaches past, for each to be replaced


class VectorGraph:
    """A graph of vectors, each named by a number; searched by one thread while another adds."""

    def __init__(self, width: int) -> None:
        """Begin without vectors.

        Args:
            width: of each.
        """
        self.width = width
        self._index = _empty(width)
        self._stored: Index | None = None
        self._path: Path | None = None  # of the stored one
        # Names of the stored graph that were changed or removed since.
        self._changed: set[int] = set()
        # The library moves what it holds when it grows.
        self._growing = threading.Lock()

    @classmethod
    def map(cls, path: Path) -> VectorGraph:
        """Map a stored graph. The caller has checked the file: the library believes every offset.

        Raises:
            ValueError: it is none.
        """
        try:
            stored = Index.restore(path, view=True)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{path.name} cannot be opened: {error}.") from error
        if stored is None:
            raise ValueError(f"{path.name} is no graph.")
        graph = cls(stored.ndim)
        stored.expansion_search = SEARCH_BREADTH  # type: ignore[misc]  # the stub knows no setter
        graph._stored, graph._path = stored, path
        return graph

    def save(self, path: Path) -> None:
        """Write all that is here into one file; a caller adds nothing meanwhile.

        Raises:
            ValueError: the file that it was mapped from is gone.
        """
        with self._growing:
            if self._path is None:
                self._index.save(path)
                return
        # What is mapped cannot change: a copy takes up the changes, beside the searches.
        whole = Index.restore(self._path, view=False)
        if whole is None:
            raise ValueError(f"{self._path.name} is no graph any more.")
        for name in self._changed:
            whole.remove(name)
        names = _names(self._index)
        if len(names):
            whole.add(names, np.asarray(self._index.get(names)), threads=1)
        whole.save(path)

    def __len__(self) -> int:
        """How many vectors there are."""
        stored = len(self._stored) - len(self._changed) if self._stored is not None else 0
        return stored + len(self._index)

    @property
    def changes(self) -> int:
        """How many vectors are not as they are stored."""
        return len(self._changed | set(_names(self._index).tolist()))

    def put(self, keys: list[int], vectors: Floats) -> None:
        """Add vectors, (n, width), in the place of those that had these names."""
        for start in range(0, len(keys), BLOCK):
            names = np.array(keys[start : start + BLOCK], dtype=np.uint64)
            with self._growing:
                self._note_changed(names)
                held = names[np.atleast_1d(self._index.contains(names))]
                if len(held):
                    self._index.remove(held)
                self._index.add(names, np.asarray(vectors[start : start + BLOCK]), threads=1)

    def remove(self, key: int) -> None:
        """Forget a vector, if there is one of that name."""
        with self._growing:
            self._note_changed(np.array([key], dtype=np.uint64))
            if key in self._index:
                self._index.remove(key)

    def _note_changed(self, names: Any) -> None:
        if self._stored is not None:
            there = names[np.atleast_1d(self._stored.contains(names))]
            self._changed.update(there.tolist())

    def nearest(self, vector: Floats, count: int) -> list[tuple[int, float]]:
        """Return the names and cosines of about the nearest, best first, at most `count`."""
        with self._growing:
            near = _search(self._index, vector, count)
            if self._stored is not None:
                reach = count + min(len(self._changed), MAX_OVERLAP)
                old = _search(self._stored, vector, reach)
                near += [(name, cosine) for name, cosine in old if name not in self._changed]
        return sorted(near, key=lambda one: -one[1])[:count]

    def recall(self, sampled: int, count: int) -> float:
        """Return the share of the `count` nearest of some of its vectors that a search finds.

        Of a graph that is not mapped: it is measured once, when it is built.
        """
        names = _names(self._index)
        queries = np.random.default_rng(0).choice(names, min(sampled, len(names)), replace=False)
        units = _rows(self._index, queries)
        count = min(count, len(names))
        best = np.full((len(units), count), -np.inf, np.float32)
        ids = np.zeros((len(units), count), names.dtype)
        for start in range(0, len(names), READ_BLOCK):  # all at once would be gigabytes
            block = names[start : start + READ_BLOCK]
            cosines = np.concatenate([best, units @ _rows(self._index, block).T], axis=1)
            every = np.concatenate([ids, np.tile(block, (len(units), 1))], axis=1)
            top = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            best, ids = (np.take_along_axis(one, top, axis=1) for one in (cosines, every))
        near = [[name for name, _ in self.nearest(unit, count)] for unit in units]
        return float(
            np.mean([np.isin(best, names).mean() for names, best in zip(near, ids, strict=True)])
        )


def _names(index: Index) -> npt.NDArray[np.uint64]:
    """Return the names of all vectors of an index, in its order."""
    return np.asarray(index.keys[:], dtype=np.uint64)


def _empty(width: int) -> Index:
    return Index(
        ndim=width,
        metric="cos",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=BUILD_BREADTH,
        expansion_search=SEARCH_BREADTH,
    )


def _rows(index: Index, names: Any) -> Floats:
    """Return vectors of length 1."""
    rows = np.asarray(index.get(names)).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return rows


def _search(index: Index, vector: Floats, count: int) -> list[tuple[int, float]]:
    if not len(index):
        return []
    matches = index.search(vector, min(count, len(index)), threads=1)
    cosines = 1.0 - np.asarray(matches.distances, dtype=np.float64)
    return list(zip(np.asarray(matches.keys).astype(int).tolist(), cosines.tolist(), strict=True))
