"""Vectors of items from what units liked together: where a model's own vectors start.

A model that starts at random has to find from a few likes what a closed form says at once. The vectors
are E = V Σ of the truncated singular value decomposition

    X D^(−1/4) ≈ U Σ Vᵀ

of units × items (1 where a unit liked an item) with each item's column divided by the fourth root of
how often it was liked: popular items count more than with a cosine, less than as they are. E Eᵀ is then
the best approximation of its rank to how often items are liked together (Eckart & Young 1936).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.serving.artifact import Floats
    from inference.training.data import TrainingData

SHRINK = 10.0  # likes added to each item's: of a rarely liked one little is known
POWER = 0.25
OVERSAMPLING = 10  # columns beyond the rank: they make the ones that count exact
ITERATIONS = 4  # as the singular values of behaviour fall slowly
TINY = 1e-6  # of the largest singular value: smaller ones are rounding
ROWS_AT_ONCE = 65_536  # that are in memory in double precision
SPREAD_UNITS, SPREAD_ITEMS = 1000, 20_000  # whose scores set the scale of a start


def cooccurrence_vectors(data: TrainingData, width: int) -> Floats:
    """Return vectors of items, float32 (n, width); zeros for an item that nobody liked.

    Where there are fewer units or items than the width asks for, the columns beyond are zeros.
    """
    from scipy import sparse  # noqa: PLC0415  slow to import

    units, items = data.pairs
    shape = (len(data.liked), len(data.item_ids))
    liked = sparse.csr_matrix((np.ones(len(items), np.float32), (units, items)), shape)
    liked.data[:] = 1.0  # an item that was liked twice is one like
    likes = np.asarray(liked.sum(0)).ravel()
    scaled = (liked @ sparse.diags((likes + SHRINK) ** -POWER)).astype(np.float32)
    vectors = np.zeros((shape[1], width), dtype=np.float32)
    rank = min(width, *shape)
    sizes, right = _decompose(scaled, rank)
    # What is left of a matrix of a lower rank is rounding: it says nothing, in another way each time.
    real = sizes > 1e-5 * sizes.max(initial=0.0)
    vectors[:, :rank] = (right * np.where(real, sizes, 0.0)[:, None]).T
    # The sign of a singular vector is arbitrary: the largest entry is made positive.
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(width)])
    vectors *= np.where(signs < 0, np.float32(-1), np.float32(1))
    vectors[likes == 0] = 0.0
    return vectors


def start_scale(data: TrainingData, read: Floats, scored: Floats) -> np.float32:
    """Return what vectors are to be multiplied by, so that scores spread by 1 over the items.

    Args:
        data: whose first units are looked at, and some of its items where there are many.
        read: vectors whose mean over a unit's items is its own, (n, d).
        scored: vectors of the items, (n, d).
    """
    some = scored[:: max(1, len(scored) // SPREAD_ITEMS)]
    units = [liked for liked in data.liked if len(liked)][:SPREAD_UNITS]
    spreads = [(read[liked].mean(0) @ some.T).std() for liked in units]
    return np.float32(1 / max(float(np.mean(spreads)), 1e-9))


def _decompose(matrix: Any, rank: int) -> tuple[Floats, Floats]:
    """Return the largest singular values (rank,) and right singular vectors (rank, n), largest first.

    By a randomised range finder with power iterations (Halko, Martinsson & Tropp 2011, algorithm 4.4),
    from a fixed draw: the same matrix gives the same bits.
    """
    extra = min(rank + OVERSAMPLING, *matrix.shape)
    drawn = np.random.default_rng(0).normal(size=(matrix.shape[1], extra)).astype(np.float32)
    basis = _orthonormal(matrix @ drawn)
    for _ in range(ITERATIONS):
        basis = _orthonormal(matrix @ _orthonormal(matrix.T @ basis))
    across = matrix.T @ basis
    squares, turned = np.linalg.eigh(_gram(across))
    sizes = np.sqrt(np.maximum(squares[::-1], 0.0))
    scale = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > TINY * sizes[0])
    right = across @ (turned[:, ::-1] * scale).astype(np.float32)
    return sizes[:rank].astype(np.float32), right.T[:rank]


def _orthonormal(columns: Floats) -> Floats:
    """Return an orthonormal basis of what columns span, (m, k); zeros where they span less.

    By their Gram matrix, twice: a QR decomposition of a million rows takes ten times as long, and the
    second pass removes what the first leaves of rounding (Yamamoto et al. 2015).
    """
    for _ in range(2):
        squares, turned = np.linalg.eigh(_gram(columns))
        # What is left of a smaller span is rounding.
        real = squares > TINY**2 * squares.max(initial=0.0)
        scale = np.where(real, 1 / np.sqrt(np.where(real, squares, 1.0)), 0.0)
        columns = columns @ (turned * scale).astype(np.float32)
    return columns


def _gram(columns: Floats) -> NDArray[np.float64]:
    """Return the products of columns with each other, (k, k), summed in double precision."""
    total = np.zeros((columns.shape[1], columns.shape[1]))
    for start in range(0, len(columns), ROWS_AT_ONCE):
        part = columns[start : start + ROWS_AT_ONCE].astype(np.float64)
        total += part.T @ part
    return total
