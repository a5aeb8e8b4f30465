"""Bandits: posteriors, shares and batched least squares; SciPy and simulations are the oracles."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given
from scipy import integrate, stats

from experiments.stats.bandit import (
    PRIOR_UNITS,
    Regret,
    chance_of_best,
    losses_of,
    next_weights,
    posteriors,
    regret_of,
    rewards_of,
    shares_of,
)
from experiments.stats.bandit_simulation import BanditScenario, share_covered, simulate_bandits
from experiments.stats.effects import compare
from experiments.stats.estimates import effect_of
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy, PolicyError
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import StatisticsError, Totals


def metric(*epochs, kind="proportion", direction="increase"):
    """A primary metric; each epoch maps a variant to its units and conversions."""
    totals = [
        {key: Totals.of_proportion(n=n, successes=x) for key, (n, x) in epoch.items()}
        for epoch in epochs
    ]
    return MetricInput(
        key="orders", kind=kind, role="primary", direction=direction, margin=0.05, epochs=totals
    )


def test_the_posterior_is_the_conjugate_normal_one():
    rewards = rewards_of(metric({"a": (100, 10), "b": (300, 60)}), ["a", "b"])
    pooled = (99 * 100 / 99 * 0.1 * 0.9 + 299 * 300 / 299 * 0.2 * 0.8) / (99 + 299)
    prior = 70 / 400
    for at, (n, level) in enumerate(((100, 0.1), (300, 0.2))):
        share = n / (n + PRIOR_UNITS)
        assert rewards.means[at] == pytest.approx(share * level + (1 - share) * prior)
        assert rewards.sds[at] == pytest.approx(math.sqrt(pooled / (n + PRIOR_UNITS)))


def test_a_good_week_is_no_good_variant():
    # Rates double when b gets most of the traffic: pooled, b converts 18 %, a 11 %; there is nothing.
    drifting = metric({"a": (900, 90), "b": (100, 10)}, {"a": (100, 20), "b": (900, 180)})
    rewards = rewards_of(drifting, ["a", "b"])
    assert rewards.means[0] == pytest.approx(rewards.means[1])
    weights = next_weights(drifting, {"a": 0.1, "b": 0.9}, floor=0.05)
    assert weights == pytest.approx({"a": 0.5, "b": 0.5}, abs=1e-4)


@pytest.mark.parametrize("epochs", [1, 4, 60])
@pytest.mark.parametrize("shares", [(1, 1, 1), (18, 1, 1), (19, 1), (98, 1, 1)])
def test_variants_are_compared_within_epochs_by_least_squares(epochs, shares):
    """The oracle: least squares on dummies of variants and epochs, one row per cell, weighted by units."""
    rng, k = np.random.default_rng(3), len(shares)
    sizes = rng.integers(20, 400, (epochs, k)) * shares
    levels = rng.uniform(0.1, 0.3, (epochs, k))
    means, sds = posteriors(sizes, levels, np.full((epochs, k), 0.2))
    epoch, variant = np.divmod(np.arange(epochs * k), k)
    design = np.column_stack([epoch[:, None] == np.arange(epochs), variant[:, None] == np.arange(1, k)])
    weights = np.diag(sizes.ravel().astype(float))
    gram = design.T @ weights @ design
    fitted = np.linalg.solve(gram, design.T @ weights @ levels.ravel())
    effects = np.array([0.0, *fitted[epochs:]])
    of_variant = sizes.sum(axis=0)
    prior = (sizes * levels).sum() / sizes.sum()
    inside = np.zeros((k, k))
    inside[1:, 1:] = np.linalg.inv(gram)[epochs:, epochs:]
    apart = np.diag(inside)[:, None] + np.diag(inside)[None, :] - 2 * inside
    once = 1 / of_variant[:, None] + 1 / of_variant[None, :]
    np.fill_diagonal(once, 0.0)
    worth = of_variant * once.sum(axis=1) / apart.sum(axis=1)
    expected = prior + worth / (worth + PRIOR_UNITS) * (
        effects - of_variant @ effects / of_variant.sum()
    )
    np.testing.assert_allclose(means, expected)
    np.testing.assert_allclose(sds, np.sqrt(0.2 / (worth + PRIOR_UNITS)))


def test_an_epoch_with_few_users_of_a_variant_drowns_no_other():
    """500 users each say that b is better; ten users later do not take that back."""
    first, late = {"a": (500, 50), "b": (500, 80)}, {"a": (10, 2), "b": (990, 158)}
    alone, both = (rewards_of(metric(*epochs), ["a", "b"]) for epochs in ((first,), (first, late)))
    chances = [chance_of_best(one.means, one.sds)[1] for one in (alone, both)]
    assert chances[0] > 0.99
    assert chances[1] == pytest.approx(chances[0], abs=0.01)


def test_one_variant_alone_is_known_by_its_own_users():
    rewards = rewards_of(metric({"a": (100, 10)}, {"a": (50, 10)}), ["a"])
    assert rewards.means[0] == pytest.approx(20 / 150)
    spread = (100 * (100 / 99 * 0.09) + 50 * (50 / 49 * 0.16)) / 150
    assert rewards.sds[0] == pytest.approx(math.sqrt(spread / (150 + PRIOR_UNITS)))


def test_nothing_known_changes_nothing():
    weights = {"a": 0.3, "b": 0.7}
    assert next_weights(metric({}), weights, floor=0.1) == weights
    assert next_weights(metric({"a": (50, 0), "b": (50, 0)}), weights, floor=0.1) == weights
    assert next_weights(metric({"a": (1, 1), "b": (50, 0)}), weights, floor=0.1) == weights


def test_a_variant_that_left_stays_away():
    totals = metric({"a": (100, 10), "b": (100, 30), "c": (100, 10)})
    weights = next_weights(totals, {"a": 0.5, "b": 0.0, "c": 0.5}, floor=0.1)
    assert weights == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5}, abs=1e-4)


def test_a_quantile_is_no_reward():
    sketched = MetricInput(
        key="wait", kind="quantile", role="primary", direction="decrease", margin=0.05,
        epochs=[{"a": Sketch({1: 5})}],
    )  # fmt: skip
    with pytest.raises(StatisticsError, match=r"'wait' is a quantile, must have a mean"):
        rewards_of(sketched, ["a"])


def test_the_chance_of_being_best_is_the_integral():
    means, sds = np.array([0.10, 0.11, 0.105]), np.array([0.004, 0.02, 0.007])
    chances = chance_of_best(means, sds)
    for at in range(3):
        rest = [n for n in range(3) if n != at]

        def density(x, at=at, rest=rest):
            below = math.prod(stats.norm.cdf(x, means[n], sds[n]) for n in rest)
            return stats.norm.pdf(x, means[at], sds[at]) * below

        assert chances[at] == pytest.approx(
            integrate.quad(density, 0, 0.25, points=list(means))[0], abs=1e-6
        )
    pair = chance_of_best(means[:2], sds[:2])
    assert pair[1] == pytest.approx(stats.norm.cdf(0.01 / math.hypot(0.004, 0.02)), abs=1e-9)
    low = chance_of_best(means, sds, direction="decrease")
    assert low == pytest.approx(chance_of_best(-means, sds))


def test_the_chance_needs_a_spread():
    with pytest.raises(StatisticsError, match=r"standard deviation == 0, must be positive"):
        chance_of_best(np.array([1.0, 2.0]), np.array([0.0, 1.0]))


@given(
    counts=st.lists(st.tuples(st.integers(2, 10**6), st.floats(0, 1)), min_size=2, max_size=6),
    floor=st.floats(0.05, 1 / 6),
)
@example(counts=[(2, 0.5)] * 6, floor=1 / 6)
def test_weights_are_shares_at_or_above_the_floor(counts, floor):
    epoch = {f"v{n}": (units, round(units * rate)) for n, (units, rate) in enumerate(counts)}
    weights = next_weights(metric(epoch), dict.fromkeys(epoch, 1 / len(epoch)), floor=floor)
    assert sum(weights.values()) == pytest.approx(1, abs=1e-9)
    assert min(weights.values()) >= floor - 1e-12


def test_floors_that_leave_nothing_are_refused():
    assert shares_of(np.array([1.0, 0.0]), floor=0.1) == pytest.approx([0.9, 0.1])
    with pytest.raises(StatisticsError, match=r"floor == 0.6, must be at most 1 / 2 of 2 variants"):
        shares_of(np.array([1.0, 0.0]), floor=0.6)


def test_the_regret_of_the_split_beside_an_equal_one():
    rates = {"a": (10**6, 10**5), "b": (10**6, 2 * 10**5)}
    exposures = [({"a": 100, "b": 900}, {"a": 0.1, "b": 0.9})]
    regret = regret_of(losses_of(metric(rates), ["a", "b"]), exposures)
    assert regret.bandit == pytest.approx(100 * 0.1, rel=1e-3)
    assert (regret.equal, regret.saved) == pytest.approx((500 * 0.1, 400 * 0.1), rel=1e-3)
    down = regret_of(losses_of(metric(rates, direction="decrease"), ["a", "b"]), exposures)
    assert down.bandit == pytest.approx(900 * 0.1, rel=1e-3)
    assert regret_of(losses_of(metric({}), ["a", "b"]), exposures) == Regret(0.0, 0.0)


def test_the_regret_counts_a_variant_that_left_while_it_stood():
    first = {"a": (10**6, 10**5), "b": (10**6, 2 * 10**5), "c": (10**6, 0)}
    second = {name: first[name] for name in "ab"}
    losses = losses_of(metric(first, second), ["a", "b"], ["c"])
    assert losses == pytest.approx({"a": 0.1, "b": 0.0, "c": 0.2}, rel=1e-3)
    exposures = [
        ({"a": 300, "b": 300, "c": 300}, dict.fromkeys("abc", 1 / 3)),
        ({"a": 100, "b": 900}, {"a": 0.1, "b": 0.9, "c": 0.0}),
    ]
    regret = regret_of(losses, exposures)
    assert regret.bandit == pytest.approx(300 * 0.1 + 300 * 0.2 + 100 * 0.1, rel=1e-3)
    assert regret.equal == pytest.approx(900 * 0.3 / 3 + 1000 * 0.1 / 2, rel=1e-3)


def test_the_uncapped_difference_weighs_epochs_as_the_capped_one():
    """Of values that no cap touches both are one number, whatever the shares were."""
    epochs = [{"control": Totals.of(np.arange(n) % 5 + 0.0), "treatment": Totals.of(np.arange(m) % 7 + shift)}
              for n, m, shift in ((60, 60, 0.0), (20, 140, 3.0))]  # fmt: skip
    primary = MetricInput(
        key="spend", kind="mean", role="primary", direction="increase", margin=0.05, epochs=epochs,
        uncapped=epochs,
    )  # fmt: skip
    exposures = [({name: one.n for name, one in epoch.items()}, {"control": 0.5, "treatment": 0.5})
                 for epoch in epochs]  # fmt: skip
    policy = Policy(rule="always_valid", floor=0.05)
    inputs = LookInput(policy, "control", ["treatment"], [primary], exposures, 0, 8e6, rewards=epochs)
    (row,) = take_look(inputs).comparisons
    assert row.uncapped == pytest.approx(row.effect.estimate, rel=1e-12)
    plain, _ = effect_of(primary, "control", "treatment")
    assert plain.estimate != pytest.approx(row.effect.estimate, rel=1e-3)


def test_the_statistic_of_batches_counts_by_their_units():
    # Of one rate: each epoch's own z, weighed by the root of its units whatever the shares were.
    epochs = ({"a": (500, 60), "b": (500, 40)}, {"a": (1900, 190), "b": (100, 10)})
    batched, _ = effect_of(metric(*epochs), "a", "b", batched=True)
    z = [
        compare(
            "proportion", *(Totals.of_proportion(n=n, successes=x) for n, x in epoch.values())
        ).statistic
        for epoch in epochs
    ]
    expected = (math.sqrt(1000) * z[0] + math.sqrt(2000) * z[1]) / math.sqrt(3000)
    assert batched.statistic == pytest.approx(expected, rel=1e-9)
    plain, _ = effect_of(metric(*epochs), "a", "b")
    assert plain.statistic != pytest.approx(batched.statistic, rel=1e-3)
    # The interval inverts that very test.
    low, high = batched.interval(abs(batched.statistic))
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    none, why = effect_of(metric({}), "a", "b", batched=True)
    assert (none, why) == (None, "no epoch is over with all windows closed yet")


def look_of(runs, run, policy, epochs):
    """A look at the first epochs of a simulated run."""
    rows = [
        {"control": (n[0], x[0]), "treatment": (n[1], x[1])}
        for n, x in zip(runs.sizes[run, :epochs], runs.conversions[run, :epochs], strict=True)
    ]
    primary = metric(*rows)
    exposures = [
        (
            {key: int(n) for key, (n, _) in row.items()},
            {"control": float(w[0]), "treatment": float(w[1])},
        )
        for row, w in zip(rows, runs.weights[run, :epochs], strict=True)
    ]
    return LookInput(
        policy, "control", ["treatment"], [primary], exposures, 0, 8e6, rewards=primary.epochs
    )


def test_simulations_are_looks():
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000, twyman_limit=0.0)
    scenario = BanditScenario((0.1, 0.13), units=400, epochs=15)
    runs = simulate_bandits(scenario, policy, runs=20, rng=np.random.default_rng(5))
    assert (runs.crossed != 0).any()
    for run in range(20):
        inputs = look_of(runs, run, policy, 15)
        weights = next_weights(inputs.primary, {"control": 0.5, "treatment": 0.5}, floor=0.05)
        result = take_look(inputs)
        (row,) = result.comparisons
        assert row.effect.statistic == pytest.approx(runs.statistic[run, -1, 0], rel=1e-9)
        # The look before has led to the shares of the last epoch.
        before = take_look(look_of(runs, run, policy, 14))
        shares = next_weights(
            look_of(runs, run, policy, 14).primary, {"control": 0.5, "treatment": 0.5}, floor=0.05
        )
        assert shares["treatment"] == pytest.approx(runs.weights[run, 14, 1], abs=1.1e-4)
        assert before.comparisons[0].effect.statistic == pytest.approx(runs.statistic[run, 13, 0])
        assert 0.05 <= weights["treatment"] <= 0.95
        assert LookInput.from_json(inputs.as_json()).as_json() == inputs.as_json()
        if not row.why_not:  # the counts suffice for a ship
            crossed = abs(row.effect.statistic) >= row.critical
            assert (result.action in {"ship", "roll_back"}) == crossed


@pytest.mark.parametrize(
    ("rates", "drift"), [((0.1, 0.1), 0.0), ((0.02, 0.02), 0.5), ((0.1, 0.1, 0.1), 0.0)]
)
def test_false_verdicts_at_every_look_stay_below_alpha(rates, drift):
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000)
    scenario = BanditScenario(rates, units=400, epochs=15, drift=drift)
    runs = simulate_bandits(scenario, policy, runs=400, rng=np.random.default_rng(7))
    share, error = runs.share_with_a_verdict()
    assert share <= policy.alpha + 2 * math.sqrt(policy.alpha * (1 - policy.alpha) / 400)
    assert error < 0.02
    # One fixed look: the statistic itself is standard normal whatever the shares have become.
    beyond = (np.abs(runs.statistic[:, -1, 0]) > 1.96).mean()
    assert beyond == pytest.approx(0.05, abs=0.035)


def test_intervals_hold_the_difference_at_every_look():
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000)
    scenario = BanditScenario((0.1, 0.13), units=400, epochs=15)
    runs = simulate_bandits(scenario, policy, runs=400, rng=np.random.default_rng(11))
    assert share_covered(runs, policy, difference=0.03) >= 0.95
    assert share_covered(runs, policy, difference=0.0) < 0.9  # where it does not lie


def test_a_bandit_loses_less_than_an_equal_split():
    policy = Policy(rule="always_valid", floor=0.05, planned_units=6000)
    scenario = BanditScenario((0.1, 0.13), units=400, epochs=15)
    runs = simulate_bandits(scenario, policy, runs=50, rng=np.random.default_rng(3))
    assert runs.regret.mean() < 0.6 * runs.equal_regret


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("floor", 0.01, "floor == 0.01, must be in [0.05, 0.5], or 0 of an experiment that splits."),
        ("update_every_seconds", 1.0, "update_every_seconds == 1.0, must be at least 60 and at most"),
        ("burn_in_units", -1, "burn_in_units == -1, must be at least 0 and at most"),
    ],
)
def test_settings_that_break_their_rule(field, value, sentence):
    with pytest.raises(PolicyError) as refusal:
        Policy(**{field: value})
    assert str(refusal.value).startswith(sentence)


def test_what_was_hashed_before_hashes_the_same():
    assert not {"floor", "update_every_seconds", "burn_in_units"} & set(Policy().as_json())
    own = Policy(floor=0.1).as_json()
    assert (own["floor"], own["burn_in_units"]) == (0.1, 200)
    assert Policy.parse(own) == Policy(floor=0.1)
