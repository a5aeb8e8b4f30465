"""EASE: a linear model of an item by all others, solved in closed form.

Source: Steck (2019), Embarrassingly shallow autoencoders for sparse data, WWW.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.options import FitOptions, bounded, read_params
from inference.recommenders.protocol import default_order, nearest_by_content
from inference.serving.scorers import draft_neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.serving.artifact import ArtifactDraft
    from inference.training.data import TrainingData

MAX_ITEMS = 30_000  # the dense inverse takes 8 n² bytes: 7 GB


@dataclass(frozen=True)
class EaseParams:
    """Hyper-parameters.

    Attributes:
        l2: weight decay λ.
        keep: weights per row, the largest in absolute value.
        cold: weight of a text neighbour of an item that nobody liked yet.
        dislike: a dislike is minus this many likes; 0 ignores them.
    """

    l2: float = bounded(200.0, above=0, high=1e9)
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
            ValueError: more items than a dense inverse is sensible for.
        """
        from scipy import linalg  # noqa: PLC0415  web processes know recommenders by name alone

        params = read_params(EaseParams, options.params)
        n = len(data.item_ids)
        if n > MAX_ITEMS:
            raise ValueError(f"items == {n}, must be at most {MAX_ITEMS} for 'ease': use 'item-knn'.")
        liked = data.signed_likes(params.dislike).astype(np.float64)
        options.report(0.1, f"inverting {n} × {n}")
        gram = (liked.T @ liked).toarray()
        gram[np.diag_indices(n)] += params.l2
        inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
        weights = -inverse / np.diag(inverse)
        weights[np.diag_indices(n)] = 0
        _place_cold(data, weights, params.cold)
        options.report(1.0, "solved")
        return draft_neighbours(
            item_ids=data.item_ids,
            similarity=weights.astype(np.float32),
            keep=params.keep,
            bias=(1e-6 * np.log1p(data.popularity)).astype(np.float32),  # breaks ties
            default_order=default_order(data.popularity, limit=n),
            about={"algorithm": self.name, "params": asdict(params)},
        )


def _place_cold(data: TrainingData, weights: NDArray[np.float64], weight: float) -> None:
    """Let the likes of text neighbours speak for items that nobody liked yet."""
    neighbours = nearest_by_content(data)
    if neighbours is not None:
        cold, warm, cosines = neighbours
        weights[warm, cold[:, None]] = weight * cosines
