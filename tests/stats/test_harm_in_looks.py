"""Harm that looks once passed over: few conversions, none at all, constants. Each is rolled back.

The breaker sees them within seconds (tests/looks/test_breaker_watch.py); looks are a line of their own.
"""

from __future__ import annotations

import pytest

from experiments.stats.look import take_look
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals
from tests.support.looks import look_input, metric_input

NEVER = (0, 1000)
POLICY = Policy(planned_units=100_000)


def shares(control: tuple[int, int], treatment: tuple[int, int], **fields):
    epoch = {
        "control": Totals.of_proportion(*control),
        "treatment": Totals.of_proportion(*treatment),
    }
    return metric_input(epoch, **fields)


def errors(control: tuple[int, int], treatment: tuple[int, int]):
    fields = {"key": "errors", "role": "guardrail", "direction": "decrease", "margin": 0.2}
    return shares(control, treatment, **fields)


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        # 1.6 % against 91 % of users with an error, while hardly anybody has converted.
        ([shares((5, 1000), (4, 1000)), errors((16, 1000), (910, 1000))], "'errors' is harmed"),
        # Everybody against nobody: no spread in either arm, and nobody converts anywhere.
        ([shares(NEVER, NEVER), errors(NEVER, (1000, 1000))], "'errors' is harmed"),
        ([shares((6000, 20_000), (0, 20_000))], "worse"),
    ],
)
def test_harm_is_rolled_back_whatever_the_counts(metrics, reason):
    result = take_look(look_input(*metrics, policy=POLICY))
    assert result.action == "roll_back"
    assert reason in result.reason


def test_a_loss_is_rolled_back_on_fewer_conversions_than_a_ship_needs():
    policy = Policy(planned_units=160)
    few = shares((24, 80), (0, 80))
    assert take_look(look_input(few, policy=policy)).action == "roll_back"
    better = take_look(look_input(shares((0, 80), (24, 80)), policy=policy))
    assert better.action == "keep_running"
    assert "before a ship" in better.reason


def test_a_test_in_which_nobody_converts_ends_with_its_overrun():
    policy = Policy(planned_units=1000)
    few = (0, int(500 * policy.overrun) + 1)
    result = take_look(
        look_input(shares(few, few), policy=policy, elapsed_seconds=policy.required_run_seconds + 1)
    )
    assert result.action == "stop_inconclusive"
