"""Off-policy estimators against a simulator whose true value is known."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluation.off_policy import (
    OffPolicyError,
    doubly_robust_value,
    refuse_without_support,
    value_by_position,
    weighted_value,
)

ITEMS = 8
RATES = np.linspace(0.05, 0.4, ITEMS)
SERVED = np.full(ITEMS, 1 / ITEMS)
OTHER = np.arange(1, ITEMS + 1) / np.arange(1, ITEMS + 1).sum()
TRUTH = float(OTHER @ RATES)


def draw(rng, n=2000):
    action = rng.choice(ITEMS, n, p=SERVED)
    return action, (rng.random(n) < RATES[action]).astype(float)


def test_estimates_are_unbiased_and_intervals_cover():
    rng = np.random.default_rng(0)
    runs, found, covered = 400, [], {"ips": 0, "snips": 0, "dr": 0}
    predicted = np.tile(RATES * 0.7, (2000, 1))  # a model that is wrong
    for _ in range(runs):
        action, reward = draw(rng)
        value = weighted_value(SERVED[action], OTHER[action], reward)
        dr = doubly_robust_value(SERVED[action], action, reward, np.tile(OTHER, (2000, 1)), predicted)
        found.append((value.ips, value.snips, dr.dr))
        for name, estimate, error in (
            ("ips", value.ips, value.ips_se), ("snips", value.snips, value.snips_se), ("dr", dr.dr, dr.dr_se),
        ):  # fmt: skip
            covered[name] += abs(estimate - TRUTH) <= 1.96 * error
    means = np.mean(found, axis=0)
    errors = np.std(found, axis=0) / np.sqrt(runs)
    assert (np.abs(means - TRUTH) < 4 * errors).all()
    for name, count in covered.items():
        # 95 % less four Monte-Carlo errors of 1.1 %.
        assert count / runs > 0.905, name


def test_positions_are_estimated_apart():
    rng = np.random.default_rng(1)
    action, reward = draw(rng, 4000)
    position = np.arange(4000) % 2
    reward = reward * (1 - 0.5 * position)
    places = value_by_position(position, SERVED[action], OTHER[action], reward)
    assert set(places) == {0, 1}
    assert places[1].snips / places[0].snips == pytest.approx(0.5, abs=0.12)


def test_a_log_without_support_is_refused():
    rng = np.random.default_rng(2)
    action, reward = draw(rng, 200)
    only = np.zeros(ITEMS)
    only[3] = 1.0
    with pytest.raises(OffPolicyError, match=r"effective sample size == .*, must be at least 100"):
        refuse_without_support(weighted_value(SERVED[action], only[action], reward))
    refuse_without_support(weighted_value(SERVED[action], OTHER[action], reward))
    with pytest.raises(OffPolicyError, match="lies outside"):
        weighted_value(np.zeros(3), np.ones(3), np.ones(3))


def test_clipping_is_visible():
    logged, reward = np.array([0.001, 0.5, 0.5]), np.ones(3)
    value = weighted_value(logged, np.full(3, 0.5), reward)
    assert value.ips > value.clipped_ips
    assert value.largest_weight == 500
