"""The value of a policy against the control action: its estimate, its interval, its refusals."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.stats.policy_value import LAMBDAS, PolicyTotals, add_up, value_of
from experiments.stats.totals import StatisticsError

ALPHA = 0.05


def decisions(rng, n, *, policy, control, chance):
    """Rewards, who took the control, and its chances: means may change with each decision."""
    chances = np.broadcast_to(chance, n).astype(float)
    is_control = rng.random(n) < chances
    means = np.where(is_control, control, policy)
    return (rng.random(n) < means).astype(float), is_control, chances


def test_the_estimate_is_unbiased_and_the_interval_holds_at_every_look():
    rng, n, runs = np.random.default_rng(0), 800, 400
    drift = 0.2 * np.sin(np.arange(n) / 80)
    policy, control, chance = 0.4 + drift, 0.3 - drift / 2, 0.15 + 0.1 * (np.arange(n) % 2)
    served = chance * control + (1 - chance) * policy
    truth = np.cumsum(served - control) / np.arange(1, n + 1)
    looks = list(range(10, n + 1, 10))
    missed, last = 0, []
    for _ in range(runs):
        rows = decisions(rng, n, policy=policy, control=control, chance=chance)
        values = [value_of(one, alpha=ALPHA) for one in add_up(*rows, until=looks)]
        missed += any(
            not v.interval[0] <= truth[look - 1] <= v.interval[1]
            for v, look in zip(values, looks, strict=True)
        )
        last.append(values[-1].difference)
    assert missed / runs <= ALPHA
    assert np.mean(last) == pytest.approx(truth[-1], abs=4 * np.std(last) / np.sqrt(runs))


def test_a_policy_that_is_better_is_so_for_certain_in_time_and_one_that_is_worse_too():
    rng = np.random.default_rng(1)
    good = add_up(*decisions(rng, 3000, policy=0.6, control=0.3, chance=0.2), until=[3000])[0]
    bad = add_up(*decisions(rng, 3000, policy=0.3, control=0.6, chance=0.2), until=[3000])[0]
    assert value_of(good, alpha=ALPHA).is_better
    assert value_of(bad, alpha=ALPHA).is_worse
    value = value_of(good, alpha=ALPHA)
    assert value.served - value.control == pytest.approx(value.difference)
    assert value.controls == good.controls


def test_decisions_that_all_take_the_control_say_that_nothing_differs():
    rewards = np.tile([0.0, 1.0], 500)
    totals = add_up(rewards, np.full(1000, True), np.ones(1000), until=[1000])[0]
    value = value_of(totals, alpha=ALPHA)
    assert (value.difference, value.served, value.control) == (0.0, 0.5, 0.5)
    assert -0.05 < value.interval[0] <= 0 <= value.interval[1] < 0.05


def test_totals_by_hand():
    rewards, taken = np.array([1.0, 0.0]), np.array([False, True])
    first, second = add_up(rewards, taken, np.array([0.5, 0.25]), until=[1, 2])
    # b is .1 at first, then (1 + 10 · .1) / 11; ŷ is 0, then half of the first y.
    b = 2 / 11
    y = [0.9, -(0 - b) * 3]
    assert (first.difference, first.controls) == (pytest.approx(y[0]), 0)
    assert second.difference == pytest.approx(sum(y))
    assert second.variation == pytest.approx(y[0] ** 2 + (y[1] - y[0] / 2) ** 2)
    assert second.below == pytest.approx(0.45 + (1 - b) * 3)


def test_nobody_decided_yet_and_a_reach_that_no_stake_fits():
    empty = add_up(np.empty(0), np.empty(0, bool), np.empty(0), until=[0])[0]
    assert value_of(empty, alpha=ALPHA).interval == (-1.0, 1.0)
    far = 2 / LAMBDAS.min()
    totals = PolicyTotals(10, 5.0, 1, 1.0, 1.0, far, far)
    assert value_of(totals, alpha=ALPHA).interval == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("rewards", "chances", "message"),
    [
        ([1.2], [0.5], "rewards: one is out of range"),
        ([1.0], [0.0], "chance of the control == 0 to 0, must be in"),
        ([1.0], [1.5], "chance of the control == 1.5 to 1.5, must be in"),
    ],
)
def test_what_is_out_of_range_is_refused(rewards, chances, message):
    with pytest.raises(StatisticsError, match=message):
        add_up(np.array(rewards), np.array([True]), np.array(chances), until=[1])
    with pytest.raises(StatisticsError, match="alpha == 1, must be in"):
        value_of(PolicyTotals(0, 0.0, 0, 0.0, 0.0, 0.0, 0.0), alpha=1)
