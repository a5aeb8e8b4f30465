"""What a classifier must do: learn from labelled texts and export to a form that serving knows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.serving.features import FeatureTable
    from inference.training.data import LabelledData

CLASS_WEIGHTS = ("none", "balanced")
MAX_STEPS = 1000
TOLERANCE = 0.01  # of the rarest label's share
ABSENT_LOGIT = -5.0  # below the rarest label: e⁻⁵, under a hundredth of its odds
MIN_TOLERANCE = 1e-9  # below it double precision cannot tell progress from rounding


class Classifier(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        reads_encoder: whether it needs the configured encoder.
        seeds: how many seeds the gate asks for; 1 for what has no randomness, or costs too much.
        refits: whether what is exported is fitted anew on all rows, the held-out ones too.

    A class may have `probe_params` too: parameters of a cheap fit, for the check on shuffled labels.
    And `params`: the dataclass of its hyper-parameters, which are read and checked by it.
    And `check_params`: called before a run is queued, it raises ValueError for what no fit could take.
    And `parallel`, where `inference.training.tune` takes all of its steps: processes may share them.
    """

    name: str
    reads_encoder: bool
    seeds: int
    refits: bool

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Learn and return what is to be exported.

        Raises:
            ValueError: the data or a hyper-parameter does not allow it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted softmax regression.

    Attributes:
        weights: (width, labels).
        offset: (labels,).
        steps: of the solver.
        converged: whether it stopped because the gradient was small, not because steps were over.
    """

    weights: Floats
    offset: Floats
    steps: int
    converged: bool

    def as_json(self) -> dict[str, Any]:
        """Return what the manifest says of the fit."""
        return {"steps": self.steps, "converged": self.converged}


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How a head is fitted.

    Attributes:
        inverse_l2: scikit-learn's C.
        class_weight: `none`, or `balanced` for labels that weigh alike however rare they are: a rare
            label is found more often, and probabilities are no longer shares.
        max_steps: of the solver.

    Raises:
        ValueError: class_weight is another.
    """

    inverse_l2: float
    class_weight: str = "none"
    max_steps: int = MAX_STEPS

    def __post_init__(self) -> None:
        """Check."""
        if self.class_weight not in CLASS_WEIGHTS:
            raise ValueError(f"class_weight == '{self.class_weight}', must be one of {CLASS_WEIGHTS}.")


def fit_head(rows: Any, truth: NDArray[np.int64], labels: int, options: HeadOptions) -> Head:
    """Fit a softmax regression.

    A label that no row has gets weights of 0 and an offset below the rarest's.

    The solver stops when no entry of the gradient of the mean loss is larger than its tolerance. At the
    start, a label's entries are about as large as its share of the rows: a fixed tolerance above that
    share would stop at once and never learn the label, so it is a hundredth of the smallest share.

    Args:
        rows: (n, width), dense or sparse.
        truth: index of each row's label.
        labels: how many labels there are.
        options: how.

    Raises:
        ValueError: fewer than two labels occur.
    """
    occurs, counts = np.unique(truth, return_counts=True)
    if len(occurs) < 2:
        raise ValueError(f"labels == {len(occurs)}, must be at least 2 to tell apart.")
    balanced = options.class_weight == "balanced"
    rarest = 1 / len(occurs) if balanced else counts.min() / counts.sum()
    tolerance = max(TOLERANCE * float(rarest), MIN_TOLERANCE)
    # In single precision the gradient of a rare label is lost in rounding, and the line search fails.
    rows = rows.astype(np.float64)
    model, converged = _fit_regression(rows, truth, options, tolerance=tolerance)
    coefficients, intercept = model.coef_, model.intercept_
    if len(occurs) == 2:  # one row for two labels: the log-odds of the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weights = np.zeros((coefficients.shape[1], labels), dtype=np.float32)
    offset = np.full(labels, intercept.min() + ABSENT_LOGIT, dtype=np.float32)
    weights[:, occurs], offset[occurs] = coefficients.T, intercept
    return Head(weights, offset, int(np.max(model.n_iter_)), converged)


def _fit_regression(
    rows: Any, truth: NDArray[np.int64], options: HeadOptions, *, tolerance: float
) -> tuple[Any, bool]:
    """Return scikit-learn's fitted model, and whether it converged."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  slow to import
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  likewise

    model = LogisticRegression(
        C=options.inverse_l2,
        max_iter=options.max_steps,
        tol=tolerance,
        class_weight="balanced" if options.class_weight == "balanced" else None,
    )
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(rows, truth)
    return model, not any(issubclass(one.category, ConvergenceWarning) for one in raised)


def about_labels(
    name: str,
    params: Mapping[str, Any],
    data: LabelledData,
    table: FeatureTable,
    seed: int,
    head: Head | None = None,
) -> dict[str, Any]:
    """Return what a classifier's manifest must say; the prior answers when the model cannot."""
    counts = np.bincount(data.truth, minlength=len(data.labels)) + 1
    return {
        "algorithm": name,
        "params": dict(params),
        "seed": seed,
        "labels": list(data.labels),
        "prior": [round(float(share), 6) for share in counts / counts.sum()],
        "features": table.as_json(),
        **({"fit": head.as_json()} if head is not None else {}),
    }
