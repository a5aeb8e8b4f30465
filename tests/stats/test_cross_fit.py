"""A prediction that is fitted: against scikit-learn, numpy and simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from experiments.stats.cross_fit import RATE, cross_fit, fit_outcome, predict
from experiments.stats.effects import compare
from experiments.stats.outcome_model import OutcomeModel
from experiments.stats.totals import StatisticsError, Totals


def histories(units: int, seed: int):
    """Customers whose outcome bends with their history, and depends on their kind."""
    rng = np.random.default_rng(seed)
    spent, kind = rng.gamma(1.5, 10, units), rng.integers(0, 2, units).astype(float)
    outcome = np.where(kind == 1, np.minimum(spent, 15), 2.0) + rng.normal(0, 3, units)
    return np.column_stack([spent, kind]), outcome


def test_the_trees_are_scikit_learns():
    """Fitted on what the line leaves: the residuals of least squares, by numpy."""
    from sklearn.ensemble import GradientBoostingRegressor

    features, outcome = histories(2000, 1)
    model = fit_outcome(features, outcome)
    line = predict(OutcomeModel(model.intercept, model.slopes), features)
    design = np.column_stack([np.ones(2000), features])
    slopes, *_ = np.linalg.lstsq(design, outcome, rcond=None)
    assert model.slopes == pytest.approx(slopes[1:], rel=5e-3)
    oracle = GradientBoostingRegressor(
        n_estimators=len(model.trees), max_depth=3, learning_rate=RATE, min_samples_leaf=20, random_state=0
    ).fit(features, outcome - line)  # fmt: skip
    assert np.corrcoef(oracle.predict(features), predict(model, features) - line)[0, 1] > 0.98


def test_a_model_survives_json_and_is_the_same_twice():
    features, outcome = histories(800, 2)
    model = fit_outcome(features, outcome, segments=["kind=1"])
    again = OutcomeModel.from_json(json.loads(json.dumps(model.as_json())))
    assert again == model == fit_outcome(features, outcome, segments=["kind=1"])
    assert (again.units, again.segments) == (800, ("kind=1",))


def test_a_model_without_segments_is_written_as_before_there_were_any():
    features, outcome = histories(800, 2)
    assert set(fit_outcome(features, outcome).as_json()) == {"intercept", "slopes", "trees", "units"}


def test_a_line_alone_needs_no_tree_to_be_as_good():
    """Where the outcome is a sum of the history, the prediction is no worse than CUPED."""
    rng = np.random.default_rng(3)
    before = rng.gamma(2, 5, (4000, 1))
    after = before[:, 0] + rng.normal(0, 4, 4000)
    predicted = cross_fit(before, after, np.arange(4000) % 5)
    plain, ours = (np.corrcoef(one, after)[0, 1] ** 2 for one in (before[:, 0], predicted))
    assert ours > plain - 0.01


def test_no_unit_is_predicted_from_its_own_outcome():
    features, outcome = histories(1500, 4)
    folds = np.arange(1500) % 5
    predicted, other = cross_fit(features, outcome, folds), outcome.copy()
    other[folds == 0] += 1000.0
    assert cross_fit(features, other, folds)[folds == 0] == pytest.approx(predicted[folds == 0])


def test_a_prediction_keeps_the_level_and_takes_out_more_than_the_history():
    """A/A splits: false positives within Monte-Carlo error of .05, the variance cut beside CUPED's."""
    features, outcome = histories(2000, 5)
    predicted = cross_fit(features, outcome, np.arange(2000) % 5)
    rng, wrong, cuts = np.random.default_rng(6), 0, []
    for _ in range(400):
        treated = rng.random(2000) < 0.5
        effects = [
            compare("mean", *(Totals.of(outcome[m], None, x[m]) for m in (~treated, treated)))
            for x in (predicted, features[:, 0])
        ]
        wrong += effects[0].p_value < 0.05
        cuts.append([one.variance_reduction for one in effects])
    assert stats.binomtest(wrong, 400, 0.05).pvalue > 0.01
    ours, cuped = np.mean(cuts, axis=0)
    assert ours > cuped + 0.2


@pytest.mark.parametrize(
    ("features", "outcome", "message"),
    [
        (np.zeros((499, 1)), np.arange(499.0), "units to learn a prediction from == 499, must be at least 500"),
        (np.zeros((600, 1)), np.ones(600), "outcome == 1 for every unit, must vary"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused(features, outcome, message):
    with pytest.raises(StatisticsError, match=message):
        fit_outcome(features, outcome)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"intercept": 1}, "cannot be read"),
        ({"intercept": float("inf"), "slopes": [], "trees": [], "segments": [], "units": 1}, "must be finite"),
        ({"intercept": 0, "slopes": [1], "trees": [[1, 0, 1, 2]], "segments": [], "units": 1},
         r"feature of a tree == 1, must be in \[0, 1\)"),
        ({"intercept": 0, "slopes": [1], "trees": [[0, "x; DROP", 1, 2]], "segments": [], "units": 1},
         "cannot be read"),
        ({"intercept": 0, "slopes": [1], "trees": [], "segments": ["a=1", "b=2"], "units": 1},
         "segments of an outcome's model == 2, must be at most its 1 features"),
    ],
)  # fmt: skip
def test_a_stored_model_that_is_none_is_refused(data, message):
    with pytest.raises(StatisticsError, match=message):
        OutcomeModel.from_json(data)
