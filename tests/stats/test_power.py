"""Sample sizes against statsmodels' figures; what a rule costs against simulation and tables."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.stats import power
from experiments.stats.group_sequential import bounds_at, crossing_probabilities
from experiments.stats.totals import StatisticsError


def test_sizes_are_those_of_statsmodels_and_r():
    assert power.units_for_proportions(0.1, 0.12) == pytest.approx(3840.847482, rel=1e-8)
    assert power.units_for_proportions(0.1, 0.12, pooled=False) == pytest.approx(3838.102190, rel=1e-8)
    assert power.units_for_means(0.5, 5.0) == pytest.approx(1569.775947, rel=1e-8)
    assert power.units_for_noninferiority(0.5, 5.0) == power.units_for_means(0.5, 5.0)


def test_what_units_can_detect_is_the_reverse():
    n = power.units_for_proportions(0.1, 0.12, ratio=0.25)
    assert power.detectable_proportion(n, 0.1, ratio=0.25) == pytest.approx(0.02, rel=1e-6)
    n = power.units_for_means(0.3, 2.0, ratio=3)
    assert power.detectable_mean(n, 2.0, ratio=3) == pytest.approx(0.3)
    assert power.power_of(1.0) == pytest.approx(0.8)


@pytest.mark.parametrize(("looks", "inflation"), [(5, 1.0247160), (10, 1.0377), (24, 1.0479)])
def test_inflation_is_the_tables(looks, inflation):
    assert power.design("group_sequential", looks=looks).inflation == pytest.approx(inflation, rel=1e-4)


def test_crossing_agrees_with_simulated_paths():
    looks = [k / 20 for k in range(1, 21)]
    bounds = bounds_at(looks, alpha=0.05)
    inner = [power.futility_bound(t, drift=2.9, final_bound=bounds[-1]) for t in looks]
    exact = crossing_probabilities(looks, bounds, drift=1.5, inner=inner)
    steps = np.random.default_rng(4).normal(1.5 / 20, 20**-0.5, (40_000, 20))
    z = np.cumsum(steps, axis=1) / np.sqrt(looks)
    ends = np.select([z >= bounds, z <= -np.array(bounds), np.abs(z) < inner], [1, 2, 3], 0)
    first = np.where((ends > 0).any(axis=1), ends[np.arange(len(ends)), (ends > 0).argmax(axis=1)], 0)
    for code, expected in ((1, exact.upper), (2, exact.lower), (3, exact.futile)):
        assert (first == code).mean() == pytest.approx(expected.sum(), abs=0.008)


def test_the_confidence_sequence_needs_two_thirds_more():
    assert power.inflation("always_valid") == pytest.approx(1.65, abs=0.05)
    assert power.inflation("fixed") == pytest.approx(1.0)
    assert 1.1 < power.inflation("group_sequential", reserve=0.005, futility=True) < 1.16


def test_guardrails_share_the_risk_and_a_covariate_saves_units():
    assert power.split_power(0.8, 3) == pytest.approx(0.95)
    assert power.cuped_factor(0.7) == pytest.approx(0.51)


def test_days_follow_the_week():
    week = [1000, 1000, 1000, 1000, 1000, 200, 200]
    assert power.days_for(5000, week) == 5
    assert power.days_for(5001, week) == 6
    assert power.days_for(5400 * 2, week, window_days=1) == 15
    assert power.days_for(1000, [500], allocation=0.5) == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power.units_for_proportions(0.1, 0.1), "difference == 0"),
        (lambda: power.units_for_proportions(0.1, 1.2), r"proportion == 1.2, must be in \(0, 1\)"),
        (lambda: power.units_for_means(0.1, -1), "sd == -1, must be positive"),
        (lambda: power.units_for_means(0.1, 1, alpha=1.5), r"alpha == 1.5, must be in \(0, 1\)"),
        (lambda: power.units_for_means(0.1, 1, power=0), r"power == 0, must be in \(0, 1\)"),
        (lambda: power.units_for_means(0.1, 1, ratio=0), "ratio == 0, must be positive"),
        (lambda: power.detectable_proportion(2, 0.5), "too few to see any rise"),
        (lambda: power.detectable_mean(0, 1), "units == 0, must be positive"),
        (lambda: power.cuped_factor(1), "rho == 1"),
        (lambda: power.units_for_noninferiority(0, 1), "margin == 0"),
        (lambda: power.days_for(10, [1, 2]), "must have 1 or 7"),
        (lambda: power.days_for(10, [0]), "must be positive"),
        (lambda: power.days_for(10, [1], allocation=2), "allocation == 2"),
        (lambda: power.design("group_sequential", looks=0), "looks == 0"),
    ],
)
def test_it_refuses_what_cannot_be(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()
