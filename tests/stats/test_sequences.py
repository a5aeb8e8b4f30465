"""Confidence sequence and SRM against independent libraries' figures, and under simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.stats.confidence_sequence import (
    half_width_in_se,
    half_width_in_se_one_sided,
    log_e_value,
    mixture_scale,
)
from experiments.stats.srm import check_sample_ratio, log_bayes_factor
from experiments.stats.totals import StatisticsError


def test_sequence_agrees_with_confseq_and_gbstats():
    assert mixture_scale(0.05, 20_000) == pytest.approx(0.01992003338568684)
    assert half_width_in_se(20_000, alpha=0.05, planned_n=20_000) == pytest.approx(3.03520899)
    se = 0.004334743360338649
    width = half_width_in_se_one_sided(20_000, alpha=0.05, planned_n=20_000)
    assert width * se == pytest.approx(0.012046660284280704)
    e = log_e_value(2.3069416499939575, 20_000, alpha=0.05, planned_n=20_000)
    assert e == pytest.approx(1.268159246852679)


def test_sample_ratio_agrees_with_ssrm_test():
    counts = [(510, 490), (1550, 1450), (2545, 2455), (3605, 3395), (4705, 4295), (5780, 5220)]
    expected = [1.0, 0.7761101178, 0.7761101178, 0.3563493533, 0.0165177174, 0.0008276454]
    smallest = 1.0
    for (a, b), p_value in zip(counts, expected, strict=True):
        factor = log_bayes_factor([a, b], [0.5, 0.5], concentration=10_000)
        smallest = min(smallest, math.exp(-factor))
        assert smallest == pytest.approx(p_value, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(500, 200), (50_600, 49_000), (80, 10)])
def test_it_sees_gross_and_fine_mismatches(a, b):
    result = check_sample_ratio([({"a": a, "b": b}, {"a": 0.5, "b": 0.5})], alpha=0.001)
    assert not result.healthy


def test_looking_always_raises_few_false_alarms():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        smallest, a, n = 1.0, 0, 0
        for _ in range(30):
            a, n = a + rng.binomial(100, 0.5), n + 100
            epochs = [({"a": a, "b": n - a}, {"a": 0.5, "b": 0.5})]
            smallest = check_sample_ratio(epochs, alpha=0.05, min_p_before=smallest).p_value
        alarms += smallest < 0.05
    assert alarms / 300 <= 0.05


def test_a_leak_is_not_a_mismatch_but_no_less_unhealthy():
    result = check_sample_ratio(
        [({"a": 500, "b": 500, "c": 3}, {"a": 0.5, "b": 0.5, "c": 0.0})], alpha=0.001
    )
    assert result.p_value == 1.0
    assert result.leaks == {"c": 3}
    assert not result.healthy


def test_leaks_are_named_in_the_order_of_the_weights():
    """A reason holds them in words, and must be the same when a look is recomputed."""
    names = [f"leak-{n}" for n in range(12)]
    counts = dict.fromkeys(reversed(names), 1) | {"a": 50, "b": 50}
    weights = {"a": 0.5, "b": 0.5} | dict.fromkeys(names, 0.0)
    assert list(check_sample_ratio([(counts, weights)], alpha=0.001).leaks) == names


@pytest.mark.parametrize(("alpha", "planned"), [(0.0, 10), (1.0, 10), (0.05, 0)])
def test_sequence_refuses_impossible_settings(alpha, planned):
    with pytest.raises(StatisticsError, match="must be"):
        mixture_scale(alpha, planned)


def test_before_anybody_came_the_planned_shares_are_expected():
    planned = {"old": 0.75, "new": 0.25}
    ratio = check_sample_ratio([({}, planned)], alpha=0.001)
    assert ratio.expected == planned
    assert ratio.observed == {"old": 0.0, "new": 0.0}
    assert ratio.healthy
