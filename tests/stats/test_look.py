from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy, PolicyError
from experiments.stats.totals import Totals
from tests.support.looks import half_and_half, look_input, metric_input

QUICK = {"minimum_run_seconds": 0.0, "minimum_nonzero": 10, "twyman_limit": 0.0}


def mean_totals(mean: float, n: int, seed: int = 1) -> Totals:
    values = np.random.default_rng(seed).poisson(mean, n).astype(float)
    return Totals.of((values + (mean - values.mean())).tolist())


def look(control=1.0, treatment=1.0, n=500, planned=1000, **changes) -> LookInput:
    policy = Policy.parse({"planned_units": planned, **QUICK, **changes.pop("policy", {})})
    metric = metric_input(
        {"control": mean_totals(control, n), "treatment": mean_totals(treatment, n, 2)},
        kind="mean",
        direction=changes.pop("direction", "increase"),
        margin=0.05,
    )
    fields = {"exposures": half_and_half(n), "elapsed_seconds": 100.0}
    return look_input(metric, policy=policy, **fields | changes)


def test_it_ships_what_is_better():
    result = take_look(look(1.0, 1.5))
    assert (result.action, result.variant) == ("ship", "treatment")
    assert result.comparisons[0].interval[0] > 0


def test_it_rolls_back_what_is_worse():
    assert take_look(look(1.5, 1.0)).action == "roll_back"


def test_it_knows_that_less_can_be_better():
    assert take_look(look(1.5, 1.0, direction="decrease")).action == "ship"


def test_it_waits_while_it_cannot_say():
    assert take_look(look(1.0, 1.02, n=100, policy={"futility": False})).action == "keep_running"


def test_it_stops_at_the_end_without_a_verdict():
    result = take_look(look(1.0, 1.0, policy={"overrun": 1.0}))
    assert result.action == "stop_inconclusive"


def test_it_stops_when_hope_is_gone():
    result = take_look(look(1.0, 1.0, n=400))
    assert result.action == "stop_inconclusive"
    assert "futile" in result.reason


def test_it_gives_no_verdict_on_few_values():
    result = take_look(look(1.0, 5.0, n=9))
    assert result.action == "keep_running"
    assert "must be at least 10 before a ship" in result.reason


def test_it_gives_no_verdict_without_units():
    empty = replace(look(), metrics=[replace(look().metrics[0], epochs=[{}])])
    result = take_look(empty)
    assert result.action == "keep_running"
    assert result.comparisons[0].effect is None


def test_it_halts_on_a_sample_ratio_mismatch():
    skewed = [({"control": 900, "treatment": 500}, {"control": 0.5, "treatment": 0.5})]
    result = take_look(look(1.0, 1.5, exposures=skewed))
    assert result.action == "halt"
    assert "sample ratio mismatch" in result.reason


def test_it_halts_on_doubled_units():
    assert take_look(look(1.0, 1.5, crossover_units=50)).action == "halt"


def test_a_gain_waits_for_the_minimum_run_and_is_not_forgotten():
    early = take_look(look(1.0, 1.5, policy={"minimum_run_seconds": 1000.0}))
    assert early.action == "keep_running"
    assert early.crossed == ["treatment"]
    later = look(
        1.0, 1.5, policy={"minimum_run_seconds": 1000.0}, elapsed_seconds=2000.0,
        states=early.states, crossed=early.crossed,
    )  # fmt: skip
    assert take_look(later).action == "ship"


def test_a_loss_does_not_wait():
    assert take_look(look(1.5, 1.0, policy={"minimum_run_seconds": 1e9})).action == "roll_back"


def test_a_gain_too_good_to_be_true_waits_for_a_person():
    result = take_look(look(1.0, 2.0, policy={"twyman_limit": 0.5}))
    assert result.action == "keep_running"
    assert "a person must ship it" in result.reason


def test_a_harmed_guardrail_rolls_back():
    look_input = look(1.0, 1.5)
    harmed = replace(
        look_input.metrics[0],
        key="errors",
        role="guardrail",
        direction="decrease",
        epochs=[{"control": mean_totals(0.5, 500), "treatment": mean_totals(1.5, 500)}],
    )
    result = take_look(replace(look_input, metrics=[*look_input.metrics, harmed]))
    assert result.action == "roll_back"
    assert "guardrail 'errors' is harmed" in result.reason


def test_the_best_of_several_treatments_ships():
    look_input = look(1.0, 1.5)
    epochs = [{**look_input.metrics[0].epochs[0], "third": mean_totals(1.9, 500, 3)}]
    thirds = {"control": 500, "treatment": 500, "third": 500}
    weights = dict.fromkeys(thirds, 1 / 3)
    result = take_look(
        replace(
            look_input,
            treatments=["treatment", "third"],
            metrics=[replace(look_input.metrics[0], epochs=epochs)],
            exposures=[(thirds, weights)],
        )
    )
    assert (result.action, result.variant) == ("ship", "third")


def test_the_same_input_gives_the_same_result():
    assert take_look(look(1.0, 1.2)) == take_look(look(1.0, 1.2))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"alpha": 1.2}, r"alpha == 1.2, must be in \(0, 1\)"),
        ({"alpha": "0.05"}, "alpha == '0.05', must be a float"),
        ({"reserve": 0.05}, "reserve == 0.05"),
        ({"planned_units": 1}, "planned_units == 1, must be at least 2"),
        ({"planned_units": True}, "planned_units == True, must be a int"),
        ({"colour": "red"}, "policy field 'colour' is unknown"),
        ({"rule": "peek"}, "rule == 'peek', must be one of"),
        (
            {"window_seconds": 1e300},
            "window_seconds == 1e\\+300, must be at least 0 and at most 3.15576e",
        ),
        ({"minimum_run_seconds": 1e18}, "minimum_run_seconds == 1e\\+18"),
        (
            {"planned_units": 10**15},
            "planned_units == 1000000000000000, must be at least 2 and at most",
        ),
        ({"overrun": 1e300}, "overrun == 1e\\+300"),
        ({"look_every_seconds": 1e18}, "look_every_seconds == 1e\\+18"),
        ({"look_every_seconds": 0}, "look_every_seconds == 0, must be positive"),
    ],
)
def test_a_policy_names_what_breaks_its_rules(policy, message):
    with pytest.raises(PolicyError, match=message):
        Policy.parse(policy)


def test_false_positives_of_the_whole_rule():
    """A/A with 20 looks, futility not acted on: at most .05 plus Monte-Carlo error.

    Tested at .05 at every look, a quarter would be wrong. Full size: make bench ONLY=statistics.
    """
    experiments = 120
    rng = np.random.default_rng(11)
    policy = Policy.parse({"planned_units": 2000, "futility": False, **QUICK})
    wrong = 0
    for _ in range(experiments):
        sums = {"control": Totals(), "treatment": Totals()}
        states = {}
        for _ in range(20):
            for key in sums:
                sums[key] += Totals.of(rng.poisson(0.8, 50).astype(float).tolist())
            n = sums["control"].n
            result = take_look(
                look_input(
                    metric_input(dict(sums), kind="mean", margin=0.05),
                    policy=policy,
                    exposures=half_and_half(n),
                    states=states,
                )
            )
            states = result.states
            if result.action in {"ship", "roll_back"}:
                wrong += 1
                break
    assert wrong / experiments <= 0.05 + 2.5 * (0.05 * 0.95 / experiments) ** 0.5


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 5)), min_size=4, max_size=60),
    st.randoms(use_true_random=False),
    st.integers(1, 8),
)
def test_any_split_order_or_merge_of_batches_gives_the_same_look(units, random, batches):
    """Units dealt to batches at random, the batches added in another order: equal to the last bit."""
    first = look(policy={"minimum_nonzero": 1, "futility": False})

    def looked(groups: list[list[tuple[bool, int, int]]]):
        totals = {"control": Totals(), "treatment": Totals()}
        for group in groups:
            for key, treated in (("control", False), ("treatment", True)):
                mine = [(y, x) for side, y, x in group if side == treated]
                totals[key] += Totals.of([y for y, _ in mine], None, [x for _, x in mine])
        metric = replace(first.metrics[0], epochs=[totals])
        return take_look(replace(first, metrics=[metric]))

    dealt: list[list[tuple[bool, int, int]]] = [[] for _ in range(batches)]
    for unit in units:
        dealt[random.randrange(batches)].append(unit)
    whole = looked([units])
    assert looked(dealt) == whole
    random.shuffle(dealt)
    assert looked(dealt) == whole
