"""Implicit ALS, by the library `implicit`.

Source: Hu, Koren, Volinsky (2008), Collaborative filtering for implicit feedback datasets, ICDM.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.options import FitOptions, read_params
from inference.recommenders.protocol import default_order, nearest_by_text
from inference.serving.artifact import ArtifactDraft
from inference.serving.scorers import FACTORS

if TYPE_CHECKING:
    from inference.training.data import TrainingData


@dataclass(frozen=True)
class AlsParams:
    """Hyper-parameters.

    Attributes:
        factors: width.
        l2: regularisation λ.
        alpha: a like counts 1 + alpha, anything else 1.
        iterations: of alternating least squares.
    """

    factors: int = 64
    l2: float = 30.0
    alpha: float = 4.0
    iterations: int = 20


class Als:
    """Factors of items; a unit's are folded in from its recent items when it is served."""

    name = "als"
    reads = frozenset({"vectors"})
    seeds = 3

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Alternate."""
        from scipy import sparse  # noqa: PLC0415  web processes know recommenders by name alone

        with warnings.catch_warnings():
            # It asks for one BLAS thread, which is what every process here has.
            warnings.simplefilter("ignore", RuntimeWarning)
            from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415  slow to import
        params = read_params(AlsParams, options.params)
        n = len(data.item_ids)
        units, items = data.pairs
        liked = sparse.csr_matrix(
            (np.ones(len(items), np.float32), (units, items)), (len(data.liked), n)
        )
        liked.data[:] = 1 + params.alpha
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            model = AlternatingLeastSquares(
                factors=params.factors,
                regularization=params.l2,
                alpha=1.0,
                iterations=params.iterations,
                random_state=options.seed,
                num_threads=1,
                dtype=np.float32,
            )
        model.fit(
            liked,
            show_progress=False,
            callback=lambda step, *_: options.report(
                (step + 1) / params.iterations, f"pass {step + 1}"
            ),
        )
        factors = np.array(model.item_factors, dtype=np.float32)
        factors[data.popularity == 0] = 0
        gram = factors.T @ factors + params.l2 * np.eye(params.factors, dtype=np.float32)
        found = nearest_by_text(data)
        if found is not None:
            cold, warm, cosines = found
            # A cold item stands where its text neighbours stand, drawn towards the origin.
            mean = (factors[warm] * cosines[..., None]).sum(1) / np.maximum(cosines.sum(1), 1.0)[
                :, None
            ]
            factors[cold] = 0.5 * mean
        arrays = {
            "item_factors": factors,
            "gram": gram.astype(np.float32),
            "alpha": np.array([params.alpha], dtype=np.float32),
            "bias": (1e-6 * np.log1p(data.popularity)).astype(np.float32),
            "default_order": default_order(data.popularity, limit=n),
        }
        about = {"algorithm": self.name, "params": asdict(params), "seed": options.seed}
        return ArtifactDraft(form=FACTORS, arrays=arrays, item_ids=data.item_ids, about=about)
