"""Each rule one experiment at a time, and the fast simulation held against it."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.stats.effects import compare
from experiments.stats.exact import (
    Batch,
    ExactState,
    add_batches,
    log_e_value,
    log_likelihood_ratios,
    log_odds_interval,
)
from experiments.stats.look import take_look
from experiments.stats.policy import Policy, PolicyError
from experiments.stats.rules import RuleState
from experiments.stats.scenario import Epoch, Scenario
from experiments.stats.scenarios import draw_paths, permuted_paths
from experiments.stats.sides import compare_sides, draw_side
from experiments.stats.simulate import apply_rule, merge_outcomes, naive_outcomes
from experiments.stats.totals import Moments, StatisticsError, Totals
from tests.support.looks import half_and_half, look_input, metric_input

OPEN = {"minimum_run_seconds": 0.0, "twyman_limit": 0.0}


def policy_of(rule: str, **fields) -> Policy:
    return Policy.parse({"rule": rule, "minimum_conversions": 25, **OPEN, **fields})


def simulate(
    scenario: Scenario, policy: Policy, *, experiments=1000, looks=50, per=100, seed=1, act=None
):
    drawn = draw_paths(
        scenario, looks=looks, units_per_look=per, experiments=experiments, policy=policy,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return merge_outcomes([apply_rule(policy, paths, act_on_futility=act) for paths in drawn])


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact", "fixed"])
def test_the_fast_simulation_decides_as_the_look_does(rule):
    """The same paths, one experiment at a time through `take_look`: the same end at the same look."""
    policy = policy_of(rule, planned_units=2000, overrun=1.5)
    scenario = Scenario("proportion", level=0.15, lift=0.3)
    (paths,) = draw_paths(
        scenario, looks=30, units_per_look=100, experiments=40, policy=policy,
        rng=np.random.default_rng(6),
    )  # fmt: skip
    outcomes = apply_rule(policy, paths)
    for row in range(40):
        states, sums = {}, {"control": Totals(), "treatment": Totals()}
        for look in range(30):
            n_t, x_t, n_c, x_c = paths.batches[row, look].tolist()
            new = {
                "control": Totals.of_proportion(x_c, n_c),
                "treatment": Totals.of_proportion(x_t, n_t),
            }
            sums = {key: sums[key] + new[key] for key in sums}
            result = take_look(
                look_input(
                    metric_input(dict(sums)),
                    policy=policy,
                    exposures=half_and_half(50),
                    states=states,
                    batches=[new],
                )
            )
            states = {key: RuleState.from_json(state.as_json()) for key, state in result.states.items()}
            if result.action != "keep_running":
                break
        decision = {"ship": 1, "roll_back": -1}.get(result.action, 0)
        if decision or outcomes.direction[row]:
            assert (look, decision) == (outcomes.stop[row], outcomes.direction[row])


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ("group_sequential", 0.034, 0.068),
        ("always_valid", 0.0, 0.045),
        ("exact", 0.0, 0.045),
        ("fixed", 0.034, 0.068),
    ],
)
def test_false_positives_stay_in_their_bounds(rule, low, high):
    """2,000 A/A experiments with 50 looks; the ranges are the full benchmark's, widened for fewer."""
    policy = policy_of(rule, planned_units=5000, reserve=0.0, overrun=1.0)
    share, _ = simulate(Scenario("proportion", level=0.2), policy, experiments=2000, act=False).rate()
    assert low <= share <= high


def test_power_is_what_was_planned():
    policy = policy_of("group_sequential", planned_units=9000, futility=True)
    simulated = simulate(
        Scenario("proportion", level=0.2, lift=0.13), policy, per=180, experiments=1000
    )
    from experiments.stats.power import inflation, power_of, units_for_proportions

    needed = 2 * units_for_proportions(0.2, 0.226) * inflation(
        "group_sequential", reserve=0.005, futility=True
    )  # fmt: skip
    assert simulated.rate(1)[0] == pytest.approx(power_of(9000 / needed), abs=0.05)
    assert simulated.rate(-1)[0] < 0.005
    assert simulated.mean_stop(9000)[0] < 0.85


def test_rare_conversions_and_a_ramp_do_not_fool_the_exact_rule():
    ramp = [Epoch(15, 0.05, 1.0), Epoch(15, 0.2, 1.5), Epoch(20, 0.5, 0.7)]
    policy = policy_of("exact", planned_units=20_000, overrun=1.0)
    scenario = Scenario("proportion", level=0.005, epochs=ramp)
    assert simulate(scenario, policy, per=400).rate()[0] <= 0.05


def test_a_ramp_with_drift_is_stratified():
    """Pooled over its epochs the same traffic would be called an effect almost half of the time."""
    ramp = [Epoch(15, 0.05, 1.0), Epoch(15, 0.2, 1.25), Epoch(20, 0.5, 1.5)]
    policy = policy_of("group_sequential", planned_units=20_000, overrun=1.0)
    scenario = Scenario("proportion", level=0.2, epochs=ramp)
    assert simulate(scenario, policy, per=400, act=False).rate()[0] <= 0.07


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "fixed"])
def test_whales_in_an_unequal_split_are_not_an_effect(rule, share):
    """By Welch's error alone a fifth of these A/A tests failed at 90/10 (seed fixed)."""
    policy = policy_of(rule, planned_units=10_000, reserve=0.0, overrun=1.0)
    scenario = Scenario("whales", level=0.2, epochs=[Epoch(50, share)])
    assert simulate(scenario, policy, per=200, experiments=400, act=False).rate()[0] <= 0.065


@pytest.mark.parametrize("kind", ["mean", "revenue", "whales"])
def test_the_fast_moments_are_those_of_a_comparison(kind):
    """At 90/10, where the pooled variance may be the larger one."""
    rng = np.random.default_rng(12)
    scenario = Scenario(kind, level=0.2)
    for seed in range(6):
        sides = [draw_side(scenario, (1, 1, n), 1.0, rng) for n in (900, 100)]
        part = compare_sides(kind, *sides)
        moments = [
            Moments(int(s.n[0, 0]), int(s.nonzero[0, 0]), s.level[0, 0],
                    yy=s.variance[0, 0] * (s.n[0, 0] - 1))
            for s in sides
        ]  # fmt: skip
        effect = compare("mean", *moments, cautious=True)
        assert part.variance[0, 0] == pytest.approx(effect.se**2), seed
        assert part.variance[0, 0] ** 2 / part.spread[0, 0] == pytest.approx(effect.df)


def test_peeking_without_a_rule_is_wrong_often():
    policy = policy_of("fixed", planned_units=5000)
    drawn = draw_paths(
        Scenario("mean", level=1.0), looks=50, units_per_look=100, experiments=500, policy=policy,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert merge_outcomes([naive_outcomes(p, alpha=0.05) for p in drawn]).rate()[0] > 0.25


@pytest.mark.parametrize("kind", ["mean", "proportion", "ratio"])
def test_real_units_split_at_random_give_few_verdicts(kind):
    rng = np.random.default_rng(9)
    y = (rng.random(4000) < 0.2) * (1.0 if kind == "proportion" else rng.gamma(1, 2, 4000))
    d = rng.poisson(3, 4000) + 1.0 if kind == "ratio" else np.ones(4000)
    policy = policy_of("group_sequential", planned_units=4000, overrun=1.0)
    drawn = permuted_paths(y, d, looks=20, experiments=600, policy=policy, kind=kind, rng=rng)
    share, error = merge_outcomes([apply_rule(policy, p, act_on_futility=False) for p in drawn]).rate()
    assert share <= 0.05 + 3 * error


def test_the_exact_sequence_holds_the_true_odds_ratio():
    rng, missed = np.random.default_rng(5), 0
    theta = np.log(0.06 / 0.94) - np.log(0.05 / 0.95)
    for _ in range(300):
        state = ExactState()
        for _ in range(10):
            batch = Batch(300, rng.binomial(300, 0.06), 300, rng.binomial(300, 0.05))
            state = add_batches(state, [batch], spread=0.3)
            low, high = log_odds_interval(state, alpha=0.1, spread=0.3)
            if (low is not None and low > theta) or (high is not None and high < theta):
                missed += 1
                break
    assert missed / 300 <= 0.1


def test_the_order_of_batches_does_not_matter_to_the_exact_rule():
    batches = [Batch(500, 12, 520, 9), Batch(480, 30, 1510, 70), Batch(1000, 66, 990, 41)]
    there = add_batches(ExactState(), batches, spread=0.15)
    back = add_batches(ExactState(), batches[::-1], spread=0.15)
    assert log_e_value(there, spread=0.15) == pytest.approx(log_e_value(back, spread=0.15), rel=1e-10)


def test_large_batches_are_summed_in_pieces():
    huge = log_likelihood_ratios(Batch(200_000, 30_100, 200_000, 29_900), np.array([0.0, 0.01]))
    assert huge[0] == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(huge).all()


def test_one_look_is_one_look():
    policy = policy_of("fixed", planned_units=100)
    sides = {"control": Totals.of_proportion(40, 100), "treatment": Totals.of_proportion(45, 100)}
    first = take_look(look_input(metric_input(sides), policy=policy))
    assert first.action == "stop_inconclusive"
    assert "the one look was taken" in first.reason
    assert first.states["treatment"].looked


def test_holm_lets_a_second_treatment_pass_where_bonferroni_would_not():
    totals = {
        "control": Totals.of_proportion(400, 2000),
        "strong": Totals.of_proportion(500, 2000),
        "weak": Totals.of_proportion(453, 2000),
    }
    policy = policy_of("fixed", planned_units=100)
    result = take_look(look_input(metric_input(totals), policy=policy, treatments=["strong", "weak"]))
    rows = {row.variant: row for row in result.comparisons}
    assert 0.025 < rows["weak"].p_value < 0.05
    assert rows["weak"].adjusted_p_value < 0.05
    assert set(result.crossed) == {"strong", "weak"}
    assert result.variant == "strong"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add_batches(ExactState(), [Batch(5, 6, 5, 0)], spread=0.1), "conversions == 6"),
        (lambda: add_batches(ExactState(), [], spread=0), "must be positive"),
        (lambda: simulate(Scenario("mean"), policy_of("exact")), "on proportions"),
        (lambda: simulate(Scenario("what"), policy_of("fixed")), "kind == 'what'"),
        (lambda: simulate(Scenario("proportion", level=2), policy_of("fixed")), "level == 2"),
    ],
)
def test_it_refuses_what_cannot_be(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


def test_exact_asks_for_a_proportion():
    with pytest.raises(StatisticsError, match="must be a proportion"):
        take_look(look_input(metric_input({}, kind="mean"), policy=policy_of("exact")))


def test_a_plan_that_cannot_pass_its_own_gate_is_refused():
    with pytest.raises(PolicyError, match="fewer than the gate of 100 units with a value"):
        policy_of("fixed", planned_units=100, overrun=1.0).require_attainable("mean", 0.5)


def test_a_week_or_more_is_counted_in_full_weeks():
    assert Policy().required_run_seconds == 7 * 86_400
    assert Policy(minimum_run_seconds=8 * 86_400).required_run_seconds == 14 * 86_400
    assert Policy(minimum_run_seconds=3600).required_run_seconds == 3600
