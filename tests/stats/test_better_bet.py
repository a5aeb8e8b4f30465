"""`ship_when: valuable`: at the end of the plan what is more likely better ships, and says so."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.stats.look import take_look
from experiments.stats.policy import Policy, PolicyError
from experiments.stats.totals import Totals
from tests.support.looks import look_input, metric_input

VALUABLE = {"ship_when": "valuable", "minimum_run_seconds": 0.0, "twyman_limit": 0.0}


def look(control: int, treatment: int, *, n=10_000, errors=None, **policy):
    policy = {**VALUABLE, "planned_units": 20_000, **policy}
    metrics = [metric_input(_sides(control, treatment, n))]
    if errors is not None:
        guard = {"key": "errors", "role": "guardrail", "direction": "decrease", "margin": 0.1}
        metrics.append(metric_input(_sides(*errors, n), **guard))
    return take_look(look_input(*metrics, policy=Policy.parse(policy)))


def _sides(control: int, treatment: int, n: int) -> dict[str, Totals]:
    return {
        "control": Totals.of_proportion(control, n),
        "treatment": Totals.of_proportion(treatment, n),
    }


def test_what_is_likely_better_ships_at_the_end_of_the_plan():
    result = look(1000, 1020)
    assert result.action == "ship"
    assert result.reason == "shipped as the better bet (61% likely better); not proven"
    assert look(1000, 1020, ship_when="significant").action != "ship"


def test_what_is_likely_worse_does_not():
    assert look(1000, 990).action != "ship"


def test_a_prior_that_expects_losses_wants_more():
    assert look(1000, 1003, prior_mean=-0.05).action != "ship"
    assert look(1000, 1003).action == "ship"


def test_before_the_end_of_the_plan_nothing_ships_and_nothing_is_futile():
    result = look(500, 501, n=5_000)
    assert result.action == "keep_running"


def test_much_traffic_does_not_end_a_test_before_its_bet():
    """A week's minimum run, and all of the overrun's users within hours."""
    busy = {"planned_units": 2_000, "overrun": 4.0, "minimum_run_seconds": 7 * 86_400.0}
    assert look(1000, 1020, **busy).action == "keep_running"
    assert look(1000, 1020, **busy, rule="fixed").action == "keep_running"
    assert look(1000, 1020, **busy | {"minimum_run_seconds": 0.5}).action == "ship"
    assert look(1000, 990, **busy | {"minimum_run_seconds": 0.5}).action == "stop_inconclusive"
    assert look(1000, 1020, **busy, ship_when="significant").action == "stop_inconclusive"
    assert look(1000, 700, **busy).action == "roll_back"


def test_a_guardrail_that_is_not_shown_to_be_safe_holds_it():
    assert look(1000, 1020, errors=(100, 118)).action != "ship"
    assert look(1000, 1020, errors=(2000, 1900)).action == "ship"


def test_harm_beyond_doubt_rolls_back_as_ever():
    assert look(1000, 700).action == "roll_back"


def test_few_of_many_promotions_are_harmful():
    """Challengers of N(0, 3 %): what ships is better on average, and what is worse is little worse."""
    rng = np.random.default_rng(4)
    lifts = rng.normal(0, 0.03, 150)
    shipped = []
    for lift in lifts:
        control, treatment = rng.binomial(20_000, 0.1), rng.binomial(20_000, 0.1 * (1 + lift))
        result = look(int(control), int(treatment), n=20_000, planned_units=40_000)
        if result.action == "ship":
            shipped.append(lift)
    assert 50 < len(shipped) < 100
    assert np.mean(shipped) > 0.01
    assert np.mean(np.array(shipped) < -0.03) < 0.03


def test_a_policy_of_before_hashes_as_it_did():
    assert not {"ship_when", "prior_sd", "prior_mean"} & set(Policy().as_json())
    valuable = Policy.parse({"ship_when": "valuable", "prior_sd": 0.05})
    assert Policy.parse(valuable.as_json()) == valuable


@pytest.mark.parametrize("wrong", [{"ship_when": "soon"}, {"prior_sd": 0.0}, {"prior_mean": 2.0}])
def test_wrong_values_are_refused(wrong):
    with pytest.raises(PolicyError, match=next(iter(wrong))):
        Policy.parse(wrong)


def latency(
    control: float, treatment: float, n: int = 2_000, *, floor: float = 0.0, units: int = 20_000
):
    """A look at a better primary, with a guardrail on milliseconds whose spread is a fifth of its mean."""
    rng = np.random.default_rng(6)
    sides = {
        name: Totals.of((mean * (1 + 0.2 * rng.standard_normal(n))).tolist())
        for name, mean in (("control", control), ("treatment", treatment))
    }
    guard = metric_input(
        sides, key="latency", kind="mean", role="guardrail", direction="decrease", margin=0.2,
        margin_floor=floor,
    )  # fmt: skip
    policy = Policy.parse({"minimum_run_seconds": 0.0, "twyman_limit": 0.0, "planned_units": units})
    return take_look(look_input(metric_input(_sides(1000, 1400, 10_000)), guard, policy=policy))


def test_a_loss_within_the_floor_is_no_harm_and_safe():
    assert latency(2.0, 4.0).action == "roll_back"
    assert latency(2.0, 4.0, floor=20.0).action == "ship"
    assert latency(100.0, 200.0, floor=20.0).action == "roll_back"


def test_a_guardrail_that_stays_unsafe_ends_with_the_overrun():
    """Better, and slower by about the margin: neither safe nor harmed, however long it runs."""
    assert latency(2.0, 2.41, floor=0.001).action == "keep_running"
    ended = latency(2.0, 2.41, floor=0.001, units=5_000)
    assert ended.action == "stop_inconclusive"
    assert "guardrail 'latency' is not yet shown to be safe" in ended.reason
