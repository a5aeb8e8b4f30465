"""EASE: a linear model of an item by all others, solved in closed form.

Source: Steck (2019), Embarrassingly shallow autoencoders for sparse data, WWW.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.free_memory import free_memory
from inference.options import FitOptions, Span, bounded, read_params
from inference.recommenders.protocol import default_order, nearest_by_content
from inference.serving.scorers import draft_neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData

MAX_ITEMS = 30_000  # the dense inverse takes 8 n² bytes: 7 GB
ROWS = 1000  # that are made at once


@dataclass(frozen=True)
class EaseParams:
    """Hyper-parameters.

    Attributes:
        l2: weight decay λ.
        keep: weights per row, the largest in absolute value.
        cold: weight of a text neighbour of an item that nobody liked yet.
        dislike: a dislike is minus this many likes; 0 ignores them.
    """

    l2: float = bounded(200.0, above=0, high=1e9, drawn=Span(10, 3000))
    keep: int = bounded(500, low=1, high=100_000)
    cold: float = bounded(0.05, low=0, high=100)
    dislike: float = bounded(1.0, low=0, high=1000)


class Ease:
    """B = I − P / diag(P), P = (XᵀX + λI)⁻¹, with a diagonal of 0."""

    name = "ease"
    params = EaseParams
    reads = frozenset({"vectors", "images"})
    seeds = 1

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Solve.

        Raises:
            ValueError: more items than a dense inverse is sensible for, or has memory for.
        """
        params = read_params(EaseParams, options.params)
        n = len(data.item_ids)
        if n > MAX_ITEMS:
            raise ValueError(f"items == {n}, must be at most {MAX_ITEMS} for 'ease': use 'item-knn'.")
        needed, free = 8 * n * n, free_memory()
        if needed > free:
            raise ValueError(
                f"items == {n}, whose inverse takes {needed / 1e9:.1f} GB of memory for 'ease', must "
                f"take at most the {free / 1e9:.1f} GB that are free: use 'item-knn'."
            )
        liked = data.signed_likes(params.dislike).astype(np.float64)
        options.report(0.1, f"multiplying {n} × {n}")
        inverse = _invert(_gram(liked, params.l2), params.l2, options)
        weights = np.divide(inverse, -np.diag(inverse).copy(), out=inverse)
        weights[np.diag_indices(n)] = 0
        _place_cold(data, weights, params.cold)
        options.report(1.0, "solved")
        return draft_neighbours(
            item_ids=data.item_ids,
            similarity=weights,
            keep=params.keep,
            bias=(1e-6 * np.log1p(data.popularity)).astype(np.float32),  # breaks ties
            default_order=default_order(data.popularity, limit=n),
            about={"algorithm": self.name, "params": asdict(params)},
        )


def _gram(liked: csr_array, l2: float) -> NDArray[np.float64]:
    """Return XᵀX + λI, dense; made by rows, because the sparse product of all takes as much again."""
    by_item = liked.T.tocsr()
    n = by_item.shape[0]
    gram = np.empty((n, n))
    for start in range(0, n, ROWS):
        gram[start : start + ROWS] = (by_item[start : start + ROWS] @ liked).toarray()
    gram[np.diag_indices(n)] += l2
    return gram


def _invert(gram: NDArray[np.float64], l2: float, options: FitOptions) -> NDArray[np.float64]:
    """Invert a symmetric positive definite matrix in its own memory.

    Between its steps it reports: one that is out of time ends there.

    Raises:
        ValueError: it is singular to the last digit.
    """
    from scipy.linalg import lapack  # noqa: PLC0415  web processes know recommenders by name alone

    n = len(gram)
    options.report(0.2, f"inverting {n} × {n}")
    # A symmetric matrix is its own transpose, which LAPACK, column by column, need not copy.
    factor, failed = lapack.dpotrf(gram.T, lower=True, clean=False, overwrite_a=True)
    options.report(0.5, f"inverting {n} × {n}")
    half, singular = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed or singular:
        raise ValueError(
            f"l2 == {l2:g}, must be larger: items that are liked by the same units have no inverse."
        )
    options.report(0.9, "mirroring")
    inverse: NDArray[np.float64] = half.T
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        block = inverse[start:stop, start:stop]
        block[:] = np.triu(block) + np.triu(block, 1).T
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    return inverse


def _place_cold(data: TrainingData, weights: NDArray[np.float64], weight: float) -> None:
    """Let text neighbours speak for items that nobody liked yet, and these for them in a history."""
    neighbours = nearest_by_content(data)
    if neighbours is not None:
        cold, warm, cosines = neighbours
        weights[warm, cold[:, None]] = weight * cosines
        weights[cold[:, None], warm] = weight * cosines
