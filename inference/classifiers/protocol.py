"""What a classifier must do: learn from labelled texts and export to a form that serving knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import Draft, Floats
    from inference.serving.features import FeatureTable


@dataclass(frozen=True, slots=True)
class LabelledData:
    """What a classifier learns from.

    Attributes:
        texts: n texts.
        features: what else is known of each.
        truth: index of each one's label, (n,).
        labels: the labels, by index.
    """

    texts: Sequence[str]
    features: Sequence[Mapping[str, Any]]
    truth: NDArray[np.int64]
    labels: Sequence[str]

    def rows(self, chosen: NDArray[np.int64]) -> LabelledData:
        """Return some of the rows."""
        return LabelledData(
            [self.texts[i] for i in chosen],
            [self.features[i] for i in chosen],
            self.truth[chosen],
            self.labels,
        )


class Classifier(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        reads_encoder: whether it needs the configured encoder.
        seeds: how many seeds the gate asks for; 1 for what has no randomness, or costs too much.
        refits: whether what is exported is fitted anew on all rows, the held-out ones too.
    """

    name: str
    reads_encoder: bool
    seeds: int
    refits: bool

    def fit(self, data: LabelledData, options: FitOptions) -> Draft:
        """Learn and return what is to be exported.

        Raises:
            ValueError: the data or a hyper-parameter does not allow it.
        """
        ...


def fit_head(
    rows: Any, truth: NDArray[np.int64], labels: int, inverse_l2: float
) -> tuple[Floats, Floats]:
    """Fit a softmax regression; return weights (width, labels) and offsets (labels,).

    A label that no row has gets weights of 0 and the offset of the rarest.

    Args:
        rows: (n, width), dense or sparse.
        truth: index of each row's label.
        labels: how many labels there are.
        inverse_l2: scikit-learn's C.

    Raises:
        ValueError: fewer than two labels occur.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  slow to import

    occurs = np.unique(truth)
    if len(occurs) < 2:
        raise ValueError(f"labels == {len(occurs)}, must be at least 2 to tell apart.")
    model = LogisticRegression(C=inverse_l2, max_iter=300, tol=1e-3)
    model.fit(rows, truth)
    coefficients, intercept = model.coef_, model.intercept_
    if len(occurs) == 2:  # one row for two labels: the log-odds of the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weights = np.zeros((coefficients.shape[1], labels), dtype=np.float32)
    offsets = np.full(labels, intercept.min() - 5, dtype=np.float32)
    weights[:, occurs], offsets[occurs] = coefficients.T, intercept
    return weights, offsets


def about_labels(
    name: str, params: Mapping[str, Any], data: LabelledData, table: FeatureTable, seed: int
) -> dict[str, Any]:
    """Return what a classifier's manifest must say; the prior answers when the model cannot."""
    counts = np.bincount(data.truth, minlength=len(data.labels)) + 1
    return {
        "recommender": name,
        "params": dict(params),
        "seed": seed,
        "labels": list(data.labels),
        "prior": [round(float(share), 6) for share in counts / counts.sum()],
        "features": table.as_json(),
    }
