"""SciPy is the oracle for means, closed forms for proportions, simulation for coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from experiments.stats.effects import Effect, compare, critical_value, stratify
from experiments.stats.totals import StatisticsError, Totals


def proportion(successes: int, n: int) -> Totals:
    return Totals(n, successes, successes, successes, n, n, successes)


def test_mean_agrees_with_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2, 3, 400), rng.gamma(2, 3.3, 380)
    effect = compare("mean", Totals.of(a.tolist()), Totals.of(b.tolist()))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert effect.estimate == pytest.approx(b.mean() - a.mean())
    assert effect.statistic == pytest.approx(expected.statistic)


def test_proportion_agrees_with_statsmodels_figures():
    effect = compare("proportion", proportion(1000, 10_000), proportion(1100, 10_000))
    assert effect.statistic == pytest.approx(2.3066347738, rel=1e-9)
    assert effect.p_value == pytest.approx(0.0210751893, rel=1e-8)
    assert effect.interval(critical_value(0.05)) == pytest.approx(
        (0.0015040591, 0.0184959409), rel=1e-6
    )
    assert effect.lift == pytest.approx(0.1)
    assert effect.lift_interval(critical_value(0.05)) == pytest.approx(
        (0.0143854989, 0.1928403958), rel=1e-6
    )


def test_ratio_is_clustered_by_unit():
    """Events of one unit are alike: taken as independent they would promise too much."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(1500):
        groups = []
        for _ in range(2):
            views = rng.poisson(8, 300) + 1
            clicks = rng.binomial(views, rng.beta(1, 4, 300))
            groups.append(Totals.of(clicks.astype(float).tolist(), views.astype(float).tolist()))
        hits += compare("ratio", *groups).p_value < 0.05
    # 0.05 within three standard errors of 1,500 draws
    assert 0.033 <= hits / 1500 <= 0.067


def test_epochs_are_stratified_not_pooled():
    """A ramp with a drifting base rate: pooling sees an effect, stratifying sees none."""
    epochs = [(proportion(95, 950), proportion(5, 50)), (proportion(100, 500), proportion(100, 500))]
    pooled = compare("proportion", epochs[0][0] + epochs[1][0], epochs[0][1] + epochs[1][1])
    assert pooled.estimate > 0.05
    assert stratify([compare("proportion", *epoch) for epoch in epochs]).estimate == pytest.approx(0)


def test_one_epoch_is_itself():
    effect = compare("proportion", proportion(10, 100), proportion(20, 100))
    assert stratify([effect]) is effect


def test_lift_has_the_sign_of_the_difference_or_is_not_given():
    effect = Effect(-2.0, -1.0, 1.0, 0.1, 10.0, 100, 100, 0.07, 0.07)
    assert effect.lift is None
    assert effect.lift_interval(1.96) is None


@pytest.mark.parametrize(
    ("control", "treatment", "message"),
    [
        (Totals(), proportion(1, 10), "must be at least"),
        (proportion(0, 10), proportion(0, 10), "standard error == 0"),
    ],
)
def test_it_says_what_is_missing_in_place_of_a_number(control, treatment, message):
    with pytest.raises(StatisticsError, match=message):
        compare("proportion", control, treatment)


def test_a_ratio_needs_a_denominator():
    nothing = Totals.of([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(StatisticsError, match="denominator == 0"):
        compare("ratio", nothing, nothing)


def test_alpha_is_bounded():
    with pytest.raises(StatisticsError, match=r"alpha == 1.2, must be in \(0, 1\)"):
        critical_value(1.2)


def test_totals_add_up():
    values = [1.0, 0.0, 2.5, -1.0]
    assert Totals.of(values[:2]) + Totals.of(values[2:]) == Totals.of(values)
    assert Totals.of(values).variance == pytest.approx(np.var(values, ddof=1))
    assert math.isclose(Totals.of(values).mean, 0.625)
