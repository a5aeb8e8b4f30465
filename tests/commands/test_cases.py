"""Files on which `bakeoff analyze` was wrong once, through the console script."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def analyze(console):
    def analyze(file: Path, *arguments: str) -> dict:
        return json.loads(console("analyze", file, *arguments, "--format", "json").stdout)

    return analyze


def write(path: Path, header: str, rows) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def excludes_zero(interval) -> bool:
    low, high = interval
    return (low is not None and low > 0) or (high is not None and high < 0)


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact"])
def test_a_treatment_that_converts_nobody_is_rolled_back_at_once(tmp_path, rule, analyze):
    rng = np.random.default_rng(25)
    rows = [
        (day, variant, int(variant == "control" and rng.random() < 0.1))
        for day in range(1, 5)
        for _ in range(1000)
        for variant in ("control", "test")
    ]
    file = write(tmp_path / "broken.csv", "day,variant,clicked", rows)
    report = analyze(
        file, "--look", "day", "--planned", "10000", "--metric", "clicked:proportion", "--rule", rule
    )
    assert report["decision"]["action"] == "roll_back"
    assert len(report["looks"]) <= 2


@pytest.mark.parametrize("rule", ["group_sequential", "always_valid", "exact", "fixed"])
def test_a_guardrail_with_a_clean_control_is_rolled_back_by_name(tmp_path, rule, analyze):
    rng = np.random.default_rng(24)
    rows = [
        (day, variant, int(rng.random() < 0.1), int(variant == "test" and rng.random() < 0.04))
        for day in range(1, 4)
        for _ in range(1500)
        for variant in ("control", "test")
    ]
    file = write(tmp_path / "guardrail.csv", "day,variant,clicked,crashed", rows)
    report = analyze(
        file, "--look", "day", "--planned", "100000", "--metric", "clicked:proportion", "--metric",
        "crashed:proportion", "--guardrail", "crashed", "--lower-is-better", "crashed", "--rule", rule,
    )  # fmt: skip
    assert report["decision"]["action"] == "roll_back"
    assert "'crashed' is harmed" in report["decision"]["reason"]
    assert len(report["looks"]) == 1


def test_few_conversions_in_control_among_millions_are_no_reason_to_wait(tmp_path, analyze):
    rows = [("control", "m", 2_000_000, 20), ("test", "m", 2_000_000, 4000)]
    file = write(tmp_path / "rate.csv", "variant,metric,n,sum", rows)
    better = analyze(file, "--totals", "--metric", "m:proportion")
    assert better["decision"]["action"] == "ship"
    worse = analyze(file, "--totals", "--metric", "m:proportion", "--lower-is-better", "m")
    assert worse["decision"]["action"] == "roll_back"


def test_latencies_in_steps_of_10_ms_do_not_differ_by_chance(tmp_path, analyze):
    """The seed is one at which the density formula said p < .01."""
    rng = np.random.default_rng(26)
    rows = [
        (variant, int(round(ms / 10) * 10))
        for variant in ("control", "test")
        for ms in rng.lognormal(4, 0.5, 2000)
    ]
    report = analyze(write(tmp_path / "latency.csv", "variant,ms", rows), "--metric", "ms:median")
    (row,) = report["metrics"][0]["variants"]
    assert report["decision"]["action"] == "stop_inconclusive"
    assert row["absolute"]["p_value"] > 0.05
    assert not excludes_zero(row["absolute"]["ci"])


@pytest.mark.parametrize("treated", [54, 53, 52])
def test_in_an_unequal_split_interval_p_value_and_verdict_agree(tmp_path, treated, analyze):
    """2 % of 18,000 against 2.7, 2.65 and 2.6 % of 2,000: the first two are significant, pooled."""
    rows = [("control", "m", 18_000, 360), ("test", "m", 2000, treated)]
    file = write(tmp_path / "pooled.csv", "variant,metric,n,sum", rows)
    report = analyze(file, "--totals", "--metric", "m:proportion", "--expected", "90/10")
    (row,) = report["metrics"][0]["variants"]
    shipped = report["decision"]["action"] == "ship"
    assert excludes_zero(row["absolute"]["ci"]) == shipped == (row["absolute"]["p_value"] <= 0.05)
    assert excludes_zero(row["relative"]["ci"]) == shipped


def test_one_whale_does_not_promise_a_lift(tmp_path, analyze):
    rng = np.random.default_rng(14)
    rows = [
        (variant, round(spent, 2)) for variant in ("control", "test") for spent in rng.gamma(2, 6, 3000)
    ]
    rows.append(("test", 4_985_400))
    report = analyze(write(tmp_path / "whale.csv", "variant,revenue", rows), "--metric", "revenue:mean")
    (row,) = report["metrics"][0]["variants"]
    assert row["absolute"]["p_value"] == pytest.approx(0.317, abs=0.01)
    assert row["relative"]["ci"][0] < 0 < row["relative"]["ci"][1]
    (note,) = [note for note in report["notes"] if "spread" in note]
    assert note.startswith("One unit makes 100% of the spread of 'revenue' in 'test'")
    capped = analyze(tmp_path / "whale.csv", "--metric", "revenue:mean", "--cap", "revenue=100")
    assert not [note for note in capped["notes"] if "spread" in note]


def test_43_stores_have_students_interval_and_a_verdict(tmp_path, analyze):
    rng = np.random.default_rng(1)
    rows = [("control", x) for x in rng.normal(100, 8, 22)] + [
        ("test", x) for x in rng.normal(92, 8, 21)
    ]
    report = analyze(
        write(tmp_path / "stores.csv", "variant,sales", rows),
        "--metric",
        "sales:mean",
        "--rule",
        "fixed",
    )
    (row,) = report["metrics"][0]["variants"]
    low, high = row["absolute"]["ci"]
    assert report["decision"]["action"] == "roll_back"
    assert high < 0
    assert (high - low) / (2 * row["absolute"]["se"]) == pytest.approx(2.02, abs=0.03)
    assert "must be at least" in row["why_not"]  # marked: too few for a ship


def test_below_the_gate_there_is_no_interval_but_its_reason(tmp_path, analyze):
    rows = [("control", "m", 200, 12), ("test", "m", 200, 15)]
    file = write(tmp_path / "few.csv", "variant,metric,n,sum", rows)
    report = analyze(file, "--totals", "--metric", "m:proportion", "--rule", "always_valid")
    (row,) = report["metrics"][0]["variants"]
    for shown in (row["absolute"], row["relative"]):
        assert shown["ci"] is None
        assert shown["why_not"] == (
            "expected conversions in 'control' == 13.5, must be at least 25 before a ship"
        )
    assert report["decision"]["action"] == "keep_running"
