"""Simulated bandits: rule `exact` and late rewards; looks of the product are the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.bandit import (
    FLOOR,
    LATE,
    LATE_SAME,
    RULES,
    beside_published,
    false_verdicts,
    late_and_exact,
)
from experiments.stats.bandit import next_weights
from experiments.stats.bandit_simulation import BanditScenario, simulate_bandits
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy
from experiments.stats.totals import StatisticsError, Totals

EQUAL = {"control": 0.5, "treatment": 0.5}


def exact_policy(**fields) -> Policy:
    return Policy(rule="exact", floor=0.05, planned_units=6000, twyman_limit=0.0, **fields)


def totals_of(sizes, conversions):
    return {
        name: Totals.of_proportion(n=int(n), successes=int(x))
        for name, n, x in zip(EQUAL, sizes, conversions, strict=True)
    }


def primary_of(epochs):
    return MetricInput(
        key="orders",
        kind="proportion",
        role="primary",
        direction="increase",
        margin=0.05,
        epochs=epochs,
    )


def test_the_exact_rule_is_that_of_looks():
    policy = exact_policy()
    scenario = BanditScenario((0.1, 0.16), units=400, epochs=8)
    runs = simulate_bandits(scenario, policy, runs=12, rng=np.random.default_rng(5))
    assert (runs.crossed != 0).any()
    assert (runs.crossed[:, -1] == 0).any()
    for run in range(12):
        state = {}
        for epoch in range(8):
            so_far = range(epoch + 1)
            epochs = [totals_of(runs.sizes[run, e], runs.conversions[run, e]) for e in so_far]
            exposures = [
                (
                    {name: one.n for name, one in totals.items()},
                    dict(zip(EQUAL, map(float, runs.weights[run, e]), strict=True)),
                )
                for e, totals in zip(so_far, epochs, strict=True)
            ]
            result = take_look(
                LookInput(
                    policy, "control", ["treatment"], [primary_of(epochs)], exposures, 0, 8e6,
                    states=state, batches=[epochs[-1]], rewards=epochs,
                )
            )  # fmt: skip
            state = result.states
            (row,) = result.comparisons
            side = 1 if row.interval[0] is not None and row.interval[0] > 0 else -1
            decided = side if row.p_value <= row.level else 0
            before = runs.crossed[run, epoch - 1, 0] if epoch else 0
            assert runs.crossed[run, epoch, 0] == (before or decided)


def test_shares_follow_from_what_has_closed_alone():
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000)
    scenario = BanditScenario((0.1, 0.13), units=400, epochs=6, delay=2)
    runs = simulate_bandits(scenario, policy, runs=8, rng=np.random.default_rng(9))
    assert (runs.weights[:, :3] == 0.5).all()  # nothing has closed when the third epoch begins
    for run in range(8):
        for epoch in (3, 5):
            known = primary_of(
                [totals_of(runs.sizes[run, e], runs.conversions[run, e]) for e in range(epoch - 2)]
            )
            weights = next_weights(known, EQUAL, floor=0.05)
            assert runs.weights[run, epoch, 1] == pytest.approx(weights["treatment"], abs=1.1e-4)


def test_half_an_epoch_is_known_where_windows_are_half_an_epoch():
    scenario = BanditScenario((0.1, 0.1), units=400, epochs=6, parts=2, delay=1)
    assert [scenario.closed_parts(epoch) for epoch in range(4)] == [0, 1, 3, 5]
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000)
    runs = simulate_bandits(scenario, policy, runs=8, rng=np.random.default_rng(9))
    assert (runs.weights[:, 1] != 0.5).any()
    assert (runs.sizes.sum(axis=-1) == 400).all()


def test_a_rule_that_cannot_be_simulated_is_refused():
    with pytest.raises(StatisticsError) as refusal:
        simulate_bandits(
            BanditScenario((0.1, 0.1), units=400, epochs=2), Policy(rule="fixed"), runs=2,
            rng=np.random.default_rng(1),
        )  # fmt: skip
    assert str(refusal.value) == "rule == 'fixed', must be 'always_valid' or 'exact'."


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("late", [("", 1, 0), *LATE], ids=lambda late: late[0] or "at once")
def test_false_verdicts_stay_below_alpha(rule, late):
    """At a floor of 5 %, with rates that drift; the pooled z of the same users is wrong far more often."""
    row = false_verdicts(*LATE_SAME, runs=100, rng=np.random.default_rng(7), rule=rule, late=late)
    assert FLOOR == 0.05
    assert row.ours <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert row.met
    assert row.peer > 0.2


def test_the_bench_has_rows_of_the_exact_rule_and_of_late_rewards():
    rows = late_and_exact(4, np.random.default_rng(3))
    names = [row.what for row in rows]
    assert len(set(names)) == len(names) == 11
    assert sum("rule exact" in name for name in names) == 8
    assert sum("windows of" in name for name in names) == 6
    assert all(row.target == "ours <= 0.3769" for row in rows)


@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_a_bandit_loses_less_than_a_third_of_what_an_equal_split_does(drift):
    """10 % against 12 %; with every update weighed by its users it lost 47 of 150, not 41."""
    scenario = BanditScenario((0.10, 0.12), units=500, epochs=30, drift=drift)
    policy = Policy(rule="always_valid", floor=FLOOR, planned_units=15_000)
    runs = simulate_bandits(scenario, policy, runs=300, rng=np.random.default_rng(3))
    assert runs.regret.mean() < 0.3 * runs.equal_regret


def test_the_published_bandit_stands_beside_with_the_error_of_the_difference():
    row = beside_published(
        "10% and 12%", np.array([40.0, 44.0]), np.array([38.0, 42.0]), np.array([20.0, 22.0])
    )
    assert (row.ours, row.peer, row.met) == (42.0, 40.0, True)
    assert row.spread == "to the peer +2.0 ± 2.8, 2 and 2 runs; without a floor it loses 21"
