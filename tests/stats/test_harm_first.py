"""Harm is judged whatever the counts are, and what is judged then keeps its level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.stats.effects import compare, stratify
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy
from experiments.stats.rules import RuleState
from experiments.stats.small_counts import exact_statistic, guard
from experiments.stats.strata import ProportionStratum
from experiments.stats.totals import Totals
from tests.support.looks import look_input, metric_input

OPEN = {"minimum_run_seconds": 0.0, "twyman_limit": 0.0}


def proportion(x: int, n: int) -> Totals:
    return Totals.of_proportion(x, n)


def look(*metrics: MetricInput, treatments=("new",), **policy) -> LookInput:
    parsed = Policy.parse({"planned_units": 40_000, **OPEN, **policy})
    return look_input(*metrics, policy=parsed, control="old", treatments=list(treatments))


def primary(kind="proportion", **sides: Totals) -> MetricInput:
    return metric_input(sides, kind=kind)


def errors(**sides: Totals) -> MetricInput:
    return metric_input(sides, key="errors", role="guardrail", direction="decrease", margin=0.05)


def units_until_rolled_back(rule: str, planned: int, rates=(0.3, 0.0), per_look: int = 10) -> int:
    """Look after every few units of each arm, as a loop of looks would, and return the units an arm."""
    rng, n, sums, states = np.random.default_rng(3), 0, {"old": Totals(), "new": Totals()}, {}
    while n < 20_000:
        n += per_look
        new = {
            name: proportion(int(rng.binomial(per_look, rate)), per_look)
            for name, rate in zip(("old", "new"), rates, strict=True)
        }
        sums = {name: sums[name] + new[name] for name in sums}
        look_input = look(primary(**sums), rule=rule, planned_units=planned)
        result = take_look(LookInput(**_fields(look_input), states=states, batches=[new]))
        states = {key: RuleState.from_json(state.as_json()) for key, state in result.states.items()}
        if result.action == "roll_back":
            return n
    return n


def _fields(look_input: LookInput) -> dict:
    names = (
        "policy",
        "control",
        "treatments",
        "metrics",
        "exposures",
        "crossover_units",
        "elapsed_seconds",
    )
    return {name: getattr(look_input, name) for name in names}


@pytest.mark.parametrize(
    ("rule", "max_units"), [("group_sequential", 700), ("always_valid", 300), ("exact", 200)]
)
def test_a_total_failure_is_rolled_back_by_plain_looks(rule, max_units):
    """30 % against nothing, of a plan of 40,000; it was kept running for ever."""
    assert units_until_rolled_back(rule, 40_000) <= max_units


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact", "fixed"])
def test_errors_of_almost_everybody_are_harm_although_the_control_has_few(rule):
    result = take_look(
        look(
            primary(old=proportion(100, 1000), new=proportion(95, 1000)),
            errors(old=proportion(16, 1000), new=proportion(910, 1000)),
            rule=rule,
        )
    )
    assert result.action == "roll_back"
    assert "guardrail 'errors' is harmed" in result.reason


def test_a_guardrail_is_judged_where_nobody_clicks_anywhere():
    """0 % against 100 %: no standard error within either, and the strongest evidence there is."""
    look_input = look(
        primary(old=proportion(0, 300), new=proportion(0, 300)),
        errors(old=proportion(0, 300), new=proportion(300, 300)),
    )
    result = take_look(look_input)
    assert result.action == "roll_back"
    assert result.comparisons[1].effect.se > 0


def test_means_without_any_spread_are_evidence_of_their_number():
    effect = compare("mean", Totals.of([2.0] * 30), Totals.of([1.0] * 30))
    assert effect.statistic == pytest.approx(-np.sqrt(60), rel=0.02)
    assert take_look(look(primary("mean", old=Totals.of([2.0] * 900), new=Totals.of([1.0] * 900)),
                          rule="always_valid")).action == "roll_back"  # fmt: skip


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact", "fixed"])
def test_the_overrun_ends_an_experiment_whatever_its_counts(rule):
    nobody = primary(old=proportion(0, 100_000), new=proportion(0, 100_000))
    few = primary(old=proportion(3, 100_000), new=proportion(2, 100_000))
    for metric in (nobody, few):
        result = take_look(look(metric, rule=rule))
        assert result.action == "stop_inconclusive"
        assert "units passed without a verdict" in result.reason


def test_a_gain_waits_for_counts_that_would_be_expected_without_a_difference():
    policy = {"rule": "always_valid", "planned_units": 400}
    waits = take_look(look(primary(old=proportion(0, 200), new=proportion(40, 200)), **policy))
    assert waits.action == "keep_running"
    assert waits.reason.startswith("expected conversions in 'old' == 20, must be at least 25")
    assert waits.crossed == []
    ships = take_look(look(primary(old=proportion(0, 250), new=proportion(50, 250)), **policy))
    assert ships.action == "ship"


def test_the_exact_rule_needs_no_gate():
    sides = {"old": proportion(0, 100), "new": proportion(40, 100)}
    look_input = look(primary(**sides), rule="exact", log_odds_spread=1.5)
    result = take_look(LookInput(**_fields(look_input), batches=[sides]))
    assert result.action == "ship"
    assert result.comparisons[0].interval[0] > 0


def test_a_harmful_treatment_leaves_alone_and_is_reported_by_name():
    sides = {"old": proportion(200, 2000), "bad": proportion(10, 2000), "good": proportion(205, 2000)}
    result = take_look(look(primary(**sides), treatments=("bad", "good")))
    assert result.action == "keep_running"
    assert list(result.leaving) == ["bad"]
    assert "'bad' leaves the traffic (worse: " in result.reason
    look_input = look(primary(**sides), treatments=("bad", "good"))
    after = take_look(LookInput(**_fields(look_input), states=result.states, left=["bad"]))
    assert (after.action, after.leaving) == ("keep_running", {})


def test_all_treatments_that_harm_end_the_experiment():
    sides = {"old": proportion(200, 2000), "a": proportion(10, 2000), "b": proportion(12, 2000)}
    result = take_look(look(primary(**sides), treatments=("a", "b")))
    assert (result.action, result.leaving) == ("roll_back", {})


def test_the_exact_tail_is_fishers():
    for c, n_c, t, n_t in ((3, 40, 9, 30), (32, 200, 0, 30), (0, 1000, 2, 20)):
        z = exact_statistic([ProportionStratum(n_c, c, n_t, t)])
        side = "greater" if z > 0 else "less"
        expected = stats.fisher_exact([[t, n_t - t], [c, n_c - c]], alternative=side).pvalue
        assert stats.norm.sf(abs(z)) == pytest.approx(expected, rel=1e-9)


def test_over_epochs_the_exact_tail_is_that_of_their_sum():
    strata = [ProportionStratum(30, 4, 20, 9), ProportionStratum(25, 2, 15, 5)]
    parts = [stats.hypergeom(50, 13, 20), stats.hypergeom(40, 7, 15)]
    tail = sum(parts[0].pmf(a) * parts[1].pmf(b) for a in range(21) for b in range(16) if a + b >= 14)
    assert stats.norm.sf(exact_statistic(strata)) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("kind", ["proportion", "revenue"])
def test_guarded_losses_of_small_treatments_keep_their_level(kind):
    """2,000 A/A tests of 400 units against 20: unguarded, who has no buyer looks certain to lose."""
    rng, wrong, unguarded = np.random.default_rng(8), 0, 0
    for _ in range(2000):
        buys = [rng.random(n) < 0.03 for n in (400, 20)]
        values = [b * (1.0 if kind == "proportion" else rng.lognormal(0, 1, len(b))) for b in buys]
        if not any(b.any() for b in buys):
            continue
        effect = compare(
            "mean" if kind == "revenue" else kind, *(Totals.of(v.tolist()) for v in values)
        )
        wrong += abs(guard(effect).z) > 1.96
        unguarded += abs(effect.statistic) > 1.96
    assert wrong / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert kind == "proportion" or unguarded / 2000 > 0.2


def test_few_units_are_guarded_over_epochs_too():
    epochs = [compare("mean", Totals.of([0.0, 0.0, 0.0]), Totals.of([5.0, 5.0, 4.0])) for _ in range(2)]
    together = stratify(epochs)
    assert abs(guard(together).z) < abs(together.statistic)
