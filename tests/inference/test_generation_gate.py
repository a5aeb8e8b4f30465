"""The gate of versions that generate: assertions, paired intervals, preferences with sides swapped."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from inference.judging.assertions import (
    AssertionSpecError,
    CheckedAnswer,
    check_all,
    parse_assertions,
)
from inference.judging.generation_gate import RowResult, judge_generations
from inference.judging.paired import paired_difference, paired_ratio
from inference.judging.questions import (
    JudgeAnswerError,
    conversation_text,
    read_preference,
    read_score,
    settle_preference,
)

SCHEMA = {"type": "object", "required": ["ok"]}


@pytest.mark.parametrize(
    ("assertion", "good", "bad"),
    [
        ({"type": "contains", "value": "REFUND"}, "your refund", "nothing"),
        ({"type": "not_contains", "value": "sorry"}, "done", "Sorry, no"),
        ({"type": "regex", "value": r"^\d+ days$"}, "14 days", "some days"),
        ({"type": "json_schema", "value": SCHEMA}, '{"ok": 1}', "[1]"),
        ({"type": "max_length", "value": 4}, "four", "five!"),
        ({"type": "min_length", "value": 4}, "four", "no"),
    ],
)
def test_an_assertion_holds_or_not(assertion, good, bad):
    (rule,) = parse_assertions([assertion])
    assert rule.as_json() == assertion
    assert rule.holds(CheckedAnswer(good, 0.0, 0.0))
    assert not rule.holds(CheckedAnswer(bad, 0.0, 0.0))


def test_cost_and_latency_are_bounds_and_no_answer_keeps_no_rule():
    rules = parse_assertions(
        [
            {"type": "max_cost", "value": 0.01},
            {"type": "max_latency_ms", "value": 100},
            {"type": "contains", "value": "a"},
            {"type": "contains", "value": "b"},
        ]
    )
    assert check_all(rules, CheckedAnswer("a", 0.02, 90.0)) == {
        "max_cost": False, "max_latency_ms": True, "contains": False,
    }  # fmt: skip
    assert set(check_all(rules, None).values()) == {False}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("x", "must be a list of at most 20 assertions"),
        ([{"type": "contains"}], r"assertions\[0\] == .*must have type and value"),
        ([{"type": "like", "value": "x"}], r"assertions\[0\].type == 'like', must be one of contains"),
        ([{"type": "regex", "value": "("}], r"assertions\[0\].value == '\(', must be a pattern"),
        ([{"type": "contains", "value": ""}], "must be a text of 1 to 2000 characters"),
        ([{"type": "max_cost", "value": -1}], "must be a number of at least 0"),
        ([{"type": "json_schema", "value": {"type": "no"}}], "it is no JSON Schema"),
        ([{"type": "json_schema", "value": 1}], "must be a JSON Schema"),
    ],
)
def test_assertions_that_break_a_rule_are_refused(data, message):
    with pytest.raises(AssertionSpecError, match=message):
        parse_assertions(data)


@pytest.mark.parametrize(("wins", "losses", "n"), [(5, 2, 40), (0, 3, 30), (1, 0, 20), (9, 12, 60)])
def test_the_interval_of_a_difference_is_where_the_likelihood_says(wins, losses, n):
    """Tango's bounds by a numerical search of the likeliest proportions at a given difference."""
    z = stats.norm.ppf(0.975)
    for end, sign in zip(paired_difference(wins, losses, n), (1, -1), strict=True):

        def unlikely(nuisance, end=end):
            first = nuisance + end
            rest = 1 - first - nuisance
            counts = np.array([wins, losses, n - wins - losses])
            return -(counts * np.log(np.maximum([first, nuisance, rest], 1e-300))).sum()

        low, high = max(0.0, -end), (1 - end) / 2
        nuisance = optimize.minimize_scalar(
            unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
        ).x
        spread = np.sqrt(n * (2 * nuisance + end * (1 - end)))
        assert (wins - losses - n * end) / spread == pytest.approx(sign * z, abs=2e-4)


def test_where_both_agree_everywhere_few_rows_still_prove_little():
    z = stats.norm.ppf(0.975)
    low, high = paired_difference(0, 0, 20)
    assert (low, high) == pytest.approx((-(z**2) / (20 + z**2), z**2 / (20 + z**2)))
    assert paired_difference(0, 0, 80)[0] > -0.05
    assert paired_difference(10, 0, 10)[1] == 1.0


def test_the_interval_of_a_ratio_covers():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        base = rng.gamma(4, 1, 60)
        first, second = 1.2 * base * rng.gamma(20, 0.05, 60), base * rng.gamma(20, 0.05, 60)
        ratio, low, high = paired_ratio(first, second)
        assert low < ratio < high
        held += low <= 1.2 <= high
    assert held / 400 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
    assert paired_ratio([1.0, 2.0], [0.0, 0.0]) is None
    assert paired_ratio([1.0, 2.0], [-9.0, 10.0]) is None


def rows(n, *, passed=1.0, cost=0.01, latency=100.0, answered=1.0, seed=1):
    rng = np.random.default_rng(seed)
    return [
        RowResult(
            answered=number < answered * n,
            passed={"contains": number < passed * n},
            cost=cost * rng.uniform(0.9, 1.1),
            latency_ms=latency * rng.uniform(0.9, 1.1),
        )
        for number in range(n)
    ]


def test_a_version_that_is_not_worse_passes():
    gate = judge_generations(
        rows(100), rows(100, seed=2), [1.0] * 40 + [0.5] * 50 + [0.0] * 10, rival="prompt@1"
    )
    assert (gate.passed, gate.superior, gate.reasons) == (True, True, [])
    assert gate.rows["judge_preference"]["difference"] == pytest.approx(0.3)
    assert set(gate.rows) == {"answered", "contains", "cost", "latency_ms", "judge_preference"}


@pytest.mark.parametrize(
    ("changes", "preferences", "reason"),
    [
        ({"passed": 0.8}, [0.5] * 100, r"contains may be worse by 0\.2\d+ \(95% of 100 rows\), must be at most 0.05"),
        ({"cost": 0.02}, [0.5] * 100, r"cost may be 2\.\d+ times the champion's, must be at most 1.25"),
        ({"latency": 500.0}, [0.5] * 100, r"latency_ms may be 5\.\d+ times the champion's, must be at most 1.5"),
        ({"answered": 0.5}, [0.5] * 100, "answered may be worse by"),
        ({}, [0.0] * 30 + [0.5] * 70, r"judge_preference may be worse by 0\.3\d+"),
        ({}, [0.5] * 10, r"judge_preference may be worse by 0\.2775 \(95% of 10 rows\)"),
    ],
)  # fmt: skip
def test_a_version_that_is_worse_on_one_thing_is_refused(changes, preferences, reason):
    gate = judge_generations(rows(100, **changes), rows(100, seed=2), preferences)
    assert not gate.passed
    assert len(gate.reasons) == 1
    import re

    assert re.match(reason, gate.reasons[0]), gate.reasons


def test_without_a_champion_most_rows_must_keep_each_assertion():
    assert judge_generations(rows(50), None, []).passed
    gate = judge_generations(rows(50, passed=0.5), None, [])
    assert gate.reasons == ["contains == 0.5000 of 50 rows, must be at least 0.9"]
    assert judge_generations(rows(100, latency=290.0), rows(100), []).passed  # within the floor
    free = judge_generations(rows(100, cost=0.0), rows(100, cost=0.0), [])
    assert free.passed
    paid = judge_generations(rows(100), rows(100, cost=0.0), [])
    assert paid.reasons[0].startswith("cost == 0.01")


def test_a_judges_answer_is_read_with_care():
    assert read_score('Well: ```{"score": 4, "rationale": "kind"}```', 5).value == 0.75
    assert read_score('{"score": "5"}', 5).value == 1.0
    for text in ("4", '{"score": 6}', '{"score": true}', '{"score": null}', "{broken}", "[1]", ""):
        with pytest.raises(JudgeAnswerError):
            read_score(text, 5)
    assert read_preference('{"better": "A", "rationale": "short"}') == ("a", "short")
    with pytest.raises(JudgeAnswerError, match="must be A, B or tie"):
        read_preference('{"better": "both"}')


def test_sides_are_swapped():
    """Who prefers the first side whatever stands there prefers nobody."""
    assert settle_preference("a", "b") == 1.0
    assert settle_preference("b", "a") == 0.0
    for pair in (("a", "a"), ("b", "b"), ("tie", "b"), ("a", "tie"), ("tie", "tie")):
        assert settle_preference(*pair) == 0.5


def test_a_long_conversation_keeps_its_end():
    text = conversation_text([("user", "x" * 20_000), ("user", "the end")])
    assert text.startswith("[…]")
    assert text.endswith("the end")
    assert len(text) < 12_100
