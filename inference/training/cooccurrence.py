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
    from inference.serving.artifact import Floats
    from inference.training.data import TrainingData

SHRINK = 10.0  # likes added to each item's: of a rarely liked one little is known
POWER = 0.25
OVERSAMPLING = 10  # columns beyond the rank: they make the ones that count exact
ITERATIONS = 4  # as the singular values of behaviour fall slowly
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
    basis, _ = np.linalg.qr(matrix @ drawn)
    for _ in range(ITERATIONS):
        across, _ = np.linalg.qr(matrix.T @ basis)
        basis, _ = np.linalg.qr(matrix @ across)
    _, sizes, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return sizes[:rank], right[:rank]
