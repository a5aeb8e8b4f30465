"""`bakeoff analyze` on files of many shapes: what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.commands import analyze, run_analyze
from tests.support.files import write_columns as write

USUAL = ("--variant", "group", "--control", "a", "--format", "json")


@pytest.fixture
def signups(tmp_path) -> Path:
    return write(
        tmp_path / "signups.csv",
        {
            "variant": ["old"] * 10_000 + ["new"] * 10_000,
            "signed_up": [int(n < 1000) for n in range(10_000)]
            + [int(n < 1100) for n in range(10_000)],
        },
    )


def test_the_documented_keys_and_figures(signups):
    report = analyze(
        signups, "--control", "old", "--metric", "signed_up:proportion", "--expected", "50/50"
    )
    assert (report["control"], report["alpha"], report["method"]) == ("old", 0.05, "fixed")
    assert report["units"] == {"old": 10_000, "new": 10_000}
    assert report["srm"] | {"observed": None} == {
        "p_value": 1.0, "expected": {"old": 0.5, "new": 0.5}, "observed": None, "healthy": True, "leaks": {},
    }  # fmt: skip
    (metric,) = report["metrics"]
    assert (metric["name"], metric["kind"], metric["role"]) == ("signed_up", "proportion", "primary")
    (row,) = metric["variants"]
    assert (row["variant"], row["n"], row["mean"], row["control_mean"]) == ("new", 10_000, 0.11, 0.1)
    assert row["absolute"]["ci"] == pytest.approx([0.0015039, 0.0185050], rel=1e-4)
    assert row["absolute"]["se"] == pytest.approx(0.0043347, rel=1e-4)
    assert row["absolute"]["statistic"] == pytest.approx(2.30663, rel=1e-5)
    assert row["absolute"]["p_value"] == pytest.approx(0.0210752, rel=1e-5)
    assert row["relative"]["ci"] == pytest.approx([0.0143855, 0.1928404], rel=1e-4)
    assert row["adjusted_p_value"] == row["absolute"]["p_value"]
    assert row["probability_better"] == pytest.approx(0.98946, abs=1e-5)
    assert row["variance_reduction"] is None
    assert report["decision"]["action"] == "ship"
    assert report["decision"]["variant"] == "new"


def test_several_treatments_share_alpha_and_the_best_ships(units):
    report = analyze(units, *USUAL, "--metric", "bought:proportion", "--metric", "revenue:mean")
    assert report["decision"]["variant"] == "c"
    b, c = report["metrics"][0]["variants"]
    assert (b["variant"], c["variant"]) == ("b", "c")
    assert b["adjusted_p_value"] >= b["absolute"]["p_value"]
    assert report["metrics"][1]["role"] == "secondary"


def test_a_covariate_narrows_the_interval(units):
    plain = analyze(units, *USUAL, "--metric", "revenue:mean")["metrics"][0]["variants"][0]
    adjusted = analyze(units, *USUAL, "--metric", "revenue:mean", "--covariate", "before")
    row = adjusted["metrics"][0]["variants"][0]
    assert row["variance_reduction"] > 0.7
    assert row["absolute"]["se"] < 0.6 * plain["absolute"]["se"]


def test_quantiles_caps_guardrails_and_segments(units):
    report = analyze(
        units, *USUAL, "--metric", "bought:proportion", "--metric", "top:p90:revenue",
        "--metric", "revenue:mean", "--cap", "revenue=20", "--guardrail", "revenue=0.2",
        "--lower-is-better", "top", "--segment", "country",
    )  # fmt: skip
    top, revenue = report["metrics"][1:]
    assert top["kind"] == "quantile"
    assert 15 < top["variants"][0]["control_mean"] < 25
    assert revenue["role"] == "guardrail"
    assert revenue["variants"][0]["safe"] is True
    assert revenue["variants"][0]["uncapped"] != revenue["variants"][0]["absolute"]["estimate"]
    assert {row["segment"] for row in report["segments"]} == {"country=DE", "country=FR"}


def test_rows_of_a_unit_are_summed_to_it(tmp_path):
    """The same visits as one row a day and as one row a unit give the same scorecard."""
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(600), 5)
    clicks, views = rng.poisson(1, 3000), rng.poisson(4, 3000) + 1
    days = {
        "user": user, "variant": np.where(user % 2, "new", "control"), "clicks": clicks, "views": views,
        "opened": (clicks > 2).astype(int),
    }  # fmt: skip
    whole = {
        "variant": np.where(np.arange(600) % 2, "new", "control"),
        "clicks": np.bincount(user, clicks), "views": np.bincount(user, views),
        "opened": (np.bincount(user, clicks > 2) > 0).astype(int),
    }  # fmt: skip
    metrics = [
        "--metric",
        "ctr:ratio:clicks/views",
        "--metric",
        "opened:proportion",
        "--metric",
        "m:median:views",
    ]
    by_day = analyze(write(tmp_path / "days.csv", days), "--unit", "user", *metrics)
    by_unit = analyze(write(tmp_path / "units.csv", whole), *metrics)
    for a, b in zip(by_day["metrics"], by_unit["metrics"], strict=True):
        assert a["variants"][0]["n"] == 300
        for key in ("estimate", "se", "p_value"):
            assert a["variants"][0]["absolute"][key] == pytest.approx(b["variants"][0]["absolute"][key])


def test_a_unit_that_comes_back_at_a_later_look_is_corrected_by_the_difference(tmp_path):
    rng = np.random.default_rng(3)
    user = rng.integers(0, 800, 4000)
    rows = {
        "user": user, "variant": np.where(user % 2, "new", "control"), "week": np.arange(4000) // 1000,
        "spend": rng.gamma(1, 3, 4000).round(3), "visits": rng.poisson(2, 4000) + 1,
    }  # fmt: skip
    metrics = ["--metric", "r:ratio:spend/visits", "--metric", "spend:mean", "--metric", "q:p75:spend"]
    file = write(tmp_path / "weeks.csv", rows)
    at_once = analyze(file, "--unit", "user", *metrics)
    in_looks = analyze(
        file, "--unit", "user", *metrics, "--look", "week", "--rule", "group_sequential",
        "--planned", "100000", "--policy", '{"futility": false}',
    )  # fmt: skip
    assert [look["units"] for look in in_looks["looks"]] == sorted(
        look["units"] for look in in_looks["looks"]
    )
    assert len(in_looks["looks"]) == 4
    for a, b in zip(at_once["metrics"], in_looks["metrics"], strict=True):
        for key in ("estimate", "se"):
            assert a["variants"][0]["absolute"][key] == pytest.approx(b["variants"][0]["absolute"][key])


@pytest.mark.parametrize("method", ["group_sequential", "always_valid", "exact"])
def test_a_series_of_looks_stops_where_the_rule_says(tmp_path, method):
    rng = np.random.default_rng(4)
    side = np.arange(8000) % 2
    file = write(
        tmp_path / "looks.csv",
        {
            "look": np.arange(8000) // 200,
            "variant": np.where(side, "new", "control"),
            "bought": (rng.random(8000) < np.where(side, 0.16, 0.1)).astype(int),
        },
    )
    report = analyze(
        file, "--look", "look", "--rule", method, "--planned", "8000", "--metric", "bought:proportion"
    )
    assert report["decision"]["action"] == "ship"
    assert report["stopped_at"] == report["looks"][-1]["look"]
    assert len(report["looks"]) < 40
    assert all(look["action"] == "keep_running" for look in report["looks"][:-1])


def test_totals_are_as_good_as_rows(tmp_path, signups):
    totals = write(
        tmp_path / "totals.csv",
        {
            "variant": ["old", "new"], "metric": ["signed_up"] * 2, "kind": ["proportion"] * 2,
            "n": [10_000, 10_000], "sum": [1000, 1100], "sum_squares": [1000, 1100],
        },
    )  # fmt: skip
    rows = analyze(signups, "--control", "old", "--metric", "signed_up:proportion")
    for metrics in (["--metric", "signed_up:proportion"], []):
        report = analyze(totals, "--totals", "--control", "old", *metrics)
        assert report["metrics"] == rows["metrics"]


def test_totals_of_a_ratio_with_looks(tmp_path):
    rng = np.random.default_rng(5)
    columns: dict[str, list] = {name: [] for name in (
        "look", "variant", "metric", "n", "sum", "sum_squares", "sum_denominator",
        "sum_squares_denominator", "sum_products")}  # fmt: skip
    for look in range(3):
        for variant in ("control", "new"):
            d = rng.poisson(5, 400) + 1.0
            y = rng.binomial(d.astype(int), 0.3).astype(float)
            sums = (400, y.sum(), y @ y, d.sum(), d @ d, y @ d)
            for name, value in zip(columns, (look, variant, "ctr", *sums), strict=True):
                columns[name].append(value)
    file = write(tmp_path / "totals.csv", columns)
    report = analyze(
        file, "--totals", "--look", "look", "--metric", "ctr:ratio:a/b", "--rule", "always_valid"
    )
    assert report["looks"][-1]["units"] == 2400
    cumulative = {k: list(v) for k, v in columns.items()}
    for name in list(columns)[3:]:
        for n in range(2, 6):
            cumulative[name][n] += cumulative[name][n - 2]
    again = analyze(
        write(tmp_path / "cumulative.csv", cumulative), "--totals", "--look", "look", "--cumulative",
        "--metric", "ctr:ratio:a/b", "--rule", "always_valid",
    )  # fmt: skip
    assert again["metrics"] == report["metrics"]


def test_parquet_truth_values_and_standard_input(tmp_path):
    table = pa.table({"variant": ["control", "new"] * 500, "flag": [n % 3 == 0 for n in range(1000)]})
    parquet.write_table(table, tmp_path / "flags.parquet")
    report = analyze(tmp_path / "flags.parquet", "--metric", "flag:proportion")
    piped = analyze("-", "--metric", "flag:proportion", input=(tmp_path / "flags.parquet").read_bytes())
    assert piped == report
    text = write(
        tmp_path / "f.csv", {"variant": table["variant"].to_pylist(), "flag": table["flag"].to_pylist()}
    )
    assert analyze(text, "--metric", "flag:proportion") == report


def test_missing_values_are_left_out_and_said(tmp_path):
    rng = np.random.default_rng(6)
    values = [None if n % 5 == 0 else "NA" if n % 7 == 0 else rng.normal() for n in range(600)]
    variants = ["control" if n % 2 else "new" if n % 3 else None for n in range(600)]
    report = analyze(write(tmp_path / "gaps.csv", {"variant": variants, "x": values}), "--metric", "x:mean",
                "--expected", "control=0.6,new=0.4")  # fmt: skip
    missing = [v for v, x in zip(variants, values, strict=True) if x in {None, "NA"}]
    gone = {name: missing.count(name) for name in ("control", "new")}
    assert report["missing"]["x"] == gone
    assert any("rows without a variant" in note for note in report["notes"])
    assert report["metrics"][0]["variants"][0]["n"] == 200 - gone["new"]


def test_what_cannot_be_said_is_null_with_its_reason(units, tmp_path):
    once = tmp_path / "once.csv"
    once.write_text(units.read_text() + "9999,d,1,5,5,DE\n")
    report = analyze(
        once, *USUAL, "--metric", "bought:proportion", "--expected", "a=0.333,b=0.333,c=0.333,d=0.001"
    )
    row = report["metrics"][0]["variants"][-1]
    assert row["variant"] == "d"
    assert row["absolute"] is None
    assert row["why_not"] == "n == 1, must be at least 2."


def test_a_few_conversions_get_no_verdict(tmp_path):
    file = write(tmp_path / "few.csv", {"variant": ["control", "new"] * 60, "x": [0, 1, 0, 0] * 30})
    report = analyze(file, "--metric", "x:proportion")
    assert report["decision"]["action"] == "keep_running"
    assert (
        "expected conversions in 'control' == 15, must be at least 25" in report["decision"]["reason"]
    )


def test_a_broken_split_halts_and_names_the_segment(tmp_path):
    rng = np.random.default_rng(7)
    n = 6000
    browser = np.where(np.arange(n) % 3, "chrome", "safari")
    loaded = (browser == "chrome") | (np.arange(n) % 2 == 0) | (rng.random(n) < 0.6)
    columns = {
        "variant": np.where(np.arange(n) % 2, "new", "control")[loaded], "x": rng.normal(size=loaded.sum()),
        "browser": browser[loaded],
    }  # fmt: skip
    report = analyze(
        write(tmp_path / "split.csv", columns), "--metric", "x:mean", "--segment", "browser"
    )
    assert report["decision"]["action"] == "halt"
    assert any("browser=safari" in note for note in report["notes"])


def test_a_large_mean_with_a_small_spread_keeps_its_digits(tmp_path):
    rng = np.random.default_rng(8)
    values = [1e9 + rng.normal() + (n % 2) * 0.3 for n in range(2000)]
    file = write(
        tmp_path / "big.csv", {"variant": ["control", "new"] * 1000, "x": [f"{v:.6f}" for v in values]}
    )
    row = analyze(file, "--metric", "x:mean")["metrics"][0]["variants"][0]
    assert row["absolute"]["estimate"] == pytest.approx(0.3, abs=0.15)
    assert row["absolute"]["se"] == pytest.approx(math.sqrt(2 / 1000), rel=0.05)


def test_the_table_and_the_picture(units, tmp_path):
    done = run_analyze(units, *USUAL[:4], "--metric", "bought:proportion", "--metric", "revenue:mean",
               "--plot", str(tmp_path / "effects.svg"))  # fmt: skip
    assert done.exit_code == 0
    for words in ("Effects (fixed, alpha 0.05)", "Decision: ship c", "it never decides"):
        assert words in done.output
    picture = (tmp_path / "effects.svg").read_text()
    assert picture.startswith("<svg")
    assert "bought · c" in picture
    assert "NaN" not in picture


def test_it_reads_a_warehouse(tmp_path):
    rng = np.random.default_rng(9)
    start = np.datetime64("2026-01-01T00:00:00", "us")
    exposures = pa.table({
        "unit_id": [f"u{n}" for n in range(2000)], "variant": ["control", "new"] * 1000,
        "exposed_at": [start + np.timedelta64(int(n), "s") for n in range(2000)],
    })  # fmt: skip
    who = rng.integers(0, 2000, 5000)
    events = pa.table({
        "unit_id": [f"u{n}" for n in who], "name": ["click"] * 5000, "value": rng.gamma(1, 2, 5000),
        "occurred_at": [start + np.timedelta64(int(n) + 60, "s") for n in who],
    })  # fmt: skip
    parquet.write_table(exposures, tmp_path / "exposures.parquet")
    parquet.write_table(events, tmp_path / "events.parquet")
    metrics = [
        {"key": "clicked", "kind": "proportion", "event": "click"},
        {"key": "spend", "kind": "mean", "event": "click", "value": "sum"},
        {"key": "rate", "kind": "ratio", "event": "click", "value": "sum", "denominator": "click"},
        {"key": "middle", "kind": "quantile", "event": "click", "value": "sum"},
    ]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    tables = [tmp_path / "exposures.parquet", "--events", tmp_path / "events.parquet"]
    report = analyze(*tables, "--metrics-file", tmp_path / "metrics.json")
    assert [metric["name"] for metric in report["metrics"]] == ["clicked", "spend", "rate", "middle"]
    assert report["metrics"][1]["variants"][0]["n"] == 1000
    total = events["value"].to_numpy()[who % 2 == 0].sum()
    assert report["metrics"][1]["variants"][0]["control_mean"] == pytest.approx(total / 1000)
    for text, words in (('[{"kind": "mean"}]', "lacks 'key'"), ("{}", "must hold a list"), ("[", "cannot be read"),
                        ('[{"key": "m", "kind": "mean"}]', "must be the name of an event")):  # fmt: skip
        (tmp_path / "metrics.json").write_text(text)
        done = run_analyze(*tables, "--metrics-file", tmp_path / "metrics.json")
        assert done.exit_code == 2
        assert words in done.output
    assert run_analyze(*tables).exit_code == 2
