"""Implicit ALS, by the library `implicit`.

Source: Hu, Koren, Volinsky (2008), Collaborative filtering for implicit feedback datasets, ICDM.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.options import FitOptions, Span, bounded, read_params
from inference.recommenders.protocol import default_order, nearest_by_content
from inference.serving.artifact import ArtifactDraft, Floats
from inference.serving.scorers import FACTORS

if TYPE_CHECKING:
    from inference.training.data import TrainingData


@dataclass(frozen=True)
class AlsParams:
    """Hyper-parameters.

    Attributes:
        factors: width.
        l2: regularisation λ.
        alpha: a like counts 1 + alpha times its event's weight, anything else 1.
        iterations: of alternating least squares.
        dislike: a dislike is as sure as this many likes, of a preference of 0; 0 ignores them.
    """

    factors: int = bounded(64, low=1, high=4096, drawn=Span(16, 128))
    l2: float = bounded(30.0, low=0, high=1e9, drawn=Span(1, 300))
    alpha: float = bounded(4.0, low=0, high=1e6, drawn=Span(0.5, 40))
    iterations: int = bounded(20, low=1, high=10_000)
    dislike: float = bounded(1.0, low=0, high=1000)


class Als:
    """Factors of items; a unit's are folded in from its recent items when it is served."""

    name = "als"
    params = AlsParams
    reads = frozenset({"vectors", "images"})
    seeds = 3

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Alternate, then place cold items by their texts."""
        params = read_params(AlsParams, options.params)
        factors = _factorise(data, params, options)
        gram = factors.T @ factors + params.l2 * np.eye(params.factors, dtype=np.float32)
        # After the Gram matrix: a cold item has no likes for a unit's factors to explain.
        _place_cold(data, factors)
        arrays = {
            "item_factors": factors,
            "gram": gram.astype(np.float32),
            "alpha": np.array([params.alpha], dtype=np.float32),
            "bias": (1e-6 * np.log1p(data.popularity)).astype(np.float32),  # breaks ties
            "default_order": default_order(data.popularity, limit=len(data.item_ids)),
        }
        about = {"algorithm": self.name, "params": asdict(params), "seed": options.seed}
        return ArtifactDraft(form=FACTORS, arrays=arrays, item_ids=data.item_ids, about=about)


def _factorise(data: TrainingData, params: AlsParams, options: FitOptions) -> Floats:
    """Return factors of items, float32 (n, factors); zeros for an item that nobody liked."""
    with warnings.catch_warnings():
        # It asks for one BLAS thread, which is what every process here has.
        warnings.simplefilter("ignore", RuntimeWarning)
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415  slow to import

        model = AlternatingLeastSquares(
            factors=params.factors,
            regularization=params.l2,
            alpha=1.0,
            iterations=params.iterations,
            random_state=options.seed,
            num_threads=1,
            dtype=np.float32,
        )
    # The library reads an entry's size as its confidence, and a negative one as a preference of 0.
    refusal = 1 + params.alpha * params.dislike if params.dislike else 0.0
    liked = data.signed_likes(refusal, 1 + params.alpha * data.event_weights)

    def report(step: int, *_: object) -> None:
        options.report((step + 1) / params.iterations, f"pass {step + 1}")

    model.fit(liked, show_progress=False, callback=report)
    factors = np.array(model.item_factors, dtype=np.float32)
    factors[data.popularity == 0] = 0  # the library leaves them as they were drawn
    return factors


def _place_cold(data: TrainingData, factors: Floats) -> None:
    """Place a cold item where its text neighbours stand, drawn towards the origin."""
    neighbours = nearest_by_content(data)
    if neighbours is None:
        return
    cold, warm, cosines = neighbours
    # Where the cosines add up to less than 1, the texts say too little: nearer to the origin still.
    weight = np.maximum(cosines.sum(1), 1.0)[:, None]
    factors[cold] = 0.5 * (factors[warm] * cosines[..., None]).sum(1) / weight
