"""Fit a prediction of units' outcomes, and predict each unit by a model of other units.

References:
    Tang et al. (2020), Control using predictions as covariates in switchback experiments (CUPAC),
    DoorDash. Guo et al. (2021), Machine learning for variance reduction in online experiments
    (MLRATE), NeurIPS 34: cross-fitted predictions keep the difference unbiased, and its standard
    error that of the regression on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.outcome_model import OutcomeModel
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.stats.outcome_model import Tree

    Array = NDArray[np.float64]

MIN_UNITS = 500  # below, what trees learn is chance
MAX_UNITS = 20_000  # more say little more, and a start waits for the fit
FOLDS = 5
TREES, DEPTH, RATE = 60, 3, 0.1
RIDGE = 1e-3  # of standardised features: two that say the same have a solution too


def fit_outcome(
    features: Array, outcomes: Array, *, segments: Sequence[str] = (), seed: int = 0
) -> OutcomeModel:
    """Fit the model: least squares, then boosting on the residuals until it stops paying.

    Args:
        features: shape (units, features), known before the outcomes.
        outcomes: shape (units,).
        segments: what the last features are of, by name.
        seed: of the units that say when boosting stops; a fit can be repeated to the last bit.

    Raises:
        StatisticsError: fewer than MIN_UNITS units, or one outcome throughout.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415  slow to import

    if len(outcomes) < MIN_UNITS:
        raise StatisticsError(
            f"units to learn a prediction from == {len(outcomes)}, must be at least {MIN_UNITS}."
        )
    if np.ptp(outcomes) == 0:
        raise StatisticsError(f"outcome == {outcomes[0]:g} for every unit, must vary to be predicted.")
    intercept, slopes = _fit_line(features, outcomes)
    left = outcomes - intercept - features @ slopes
    boosting = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        min_samples_leaf=max(20, len(outcomes) // 200),
        n_iter_no_change=5,
        random_state=seed,
    ).fit(features, left)
    trees = tuple(_tree_of(one[0].tree_, 0) for one in boosting.estimators_)
    start = float(np.ravel(boosting.init_.constant_)[0])
    return OutcomeModel(
        float(intercept + start),
        tuple(map(float, slopes)),
        trees,
        units=len(outcomes),
        segments=tuple(segments),
    )


def predict(model: OutcomeModel, features: Array) -> Array:
    """Return a prediction per unit, shape (units,).

    Args:
        model: fitted.
        features: shape (units, features), in the order of its slopes.
    """
    predicted: Array = model.intercept + features @ np.array(model.slopes, dtype=float)
    everybody = np.arange(len(features))
    for tree in model.trees:
        _add(predicted, features, tree, everybody)
    return predicted


def cross_fit(features: Array, outcomes: Array, folds: NDArray[np.int64]) -> Array:
    """Predict each unit by a model of the units in other folds, shape (units,).

    A unit's own outcome never enters its prediction: one that did would take a part of the treatment's
    effect out with the noise.

    Args:
        features: shape (units, features), known before exposure.
        outcomes: shape (units,), of all variants together.
        folds: of each unit, shape (units,); by anything but its outcome.

    Raises:
        StatisticsError: the other folds hold too few units, or one outcome throughout.
    """
    predicted = np.empty(len(outcomes))
    for fold in np.unique(folds):
        inside = folds == fold
        others = np.flatnonzero(~inside)
        if len(others) > MAX_UNITS:
            others = np.random.default_rng(int(fold)).choice(others, MAX_UNITS, replace=False)
        model = fit_outcome(features[others], outcomes[others])
        predicted[inside] = predict(model, features[inside])
    return predicted


def _fit_line(features: Array, outcomes: Array) -> tuple[float, Array]:
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    standard = (features - mean) / scale
    gram = standard.T @ standard + RIDGE * len(outcomes) * np.eye(features.shape[1])
    slopes = np.linalg.solve(gram, standard.T @ (outcomes - outcomes.mean())) / scale
    return float(outcomes.mean() - mean @ slopes), slopes


def _tree_of(fitted: Any, node: int) -> Tree:
    """Return a fitted tree from a node on, its values shrunk by the learning rate."""
    low, high = int(fitted.children_left[node]), int(fitted.children_right[node])
    if low == high:  # scikit-learn's mark of a leaf
        return RATE * float(fitted.value[node].flat[0])
    threshold = float(fitted.threshold[node])
    return int(fitted.feature[node]), threshold, _tree_of(fitted, low), _tree_of(fitted, high)


def _add(predicted: Array, features: Array, tree: Tree, units: NDArray[np.int64]) -> None:
    if isinstance(tree, float):
        predicted[units] += tree
        return
    feature, threshold, low, high = tree
    below = features[units, feature] <= threshold
    _add(predicted, features, low, units[below])
    _add(predicted, features, high, units[~below])


def one_hot(values: Sequence[str], categories: Sequence[str]) -> Array:
    """Return a column per category: 1 where a unit is in it, shape (units, categories)."""
    written = np.array(values, dtype=object)[:, None]
    inside: Array = (written == np.array(categories, dtype=object)[None, :]).astype(float)
    return inside
