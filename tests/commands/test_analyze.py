"""`bakeoff analyze` on files of many shapes: what it says, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from bakeoff.cli import main
from tests.support.files import write_columns as write

USUAL = ("--variant", "group", "--control", "a", "--format", "json")


def run(*arguments: str, **options):
    return CliRunner().invoke(main, ["analyze", *map(str, arguments)], **options)


def ask(*arguments: str, **options) -> dict:
    done = run(*arguments, "--format", "json", **options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def units(tmp_path) -> Path:
    """Three groups of 1,000; c converts most; revenue follows what it was before."""
    rng = np.random.default_rng(1)
    group = np.repeat(["a", "b", "c"], 1000)
    before = rng.gamma(2, 5, 3000).round(3)
    return write(
        tmp_path / "units.csv",
        {
            "id": range(3000),
            "group": group,
            "bought": (rng.random(3000) < np.repeat([0.10, 0.12, 0.18], 1000)).astype(int),
            "revenue": (before + rng.normal(0, 3, 3000)).round(3),
            "before": before,
            "country": np.where(np.arange(3000) % 4, "DE", "FR"),
        },
    )


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
    report = ask(signups, "--control", "old", "--metric", "signed_up:proportion", "--expected", "50/50")
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
    report = ask(units, *USUAL, "--metric", "bought:proportion", "--metric", "revenue:mean")
    assert report["decision"]["variant"] == "c"
    b, c = report["metrics"][0]["variants"]
    assert (b["variant"], c["variant"]) == ("b", "c")
    assert b["adjusted_p_value"] >= b["absolute"]["p_value"]
    assert report["metrics"][1]["role"] == "secondary"


def test_a_covariate_narrows_the_interval(units):
    plain = ask(units, *USUAL, "--metric", "revenue:mean")["metrics"][0]["variants"][0]
    adjusted = ask(units, *USUAL, "--metric", "revenue:mean", "--covariate", "before")
    row = adjusted["metrics"][0]["variants"][0]
    assert row["variance_reduction"] > 0.7
    assert row["absolute"]["se"] < 0.6 * plain["absolute"]["se"]


def test_quantiles_caps_guardrails_and_segments(units):
    report = ask(
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
    by_day = ask(write(tmp_path / "days.csv", days), "--unit", "user", *metrics)
    by_unit = ask(write(tmp_path / "units.csv", whole), *metrics)
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
    at_once = ask(file, "--unit", "user", *metrics)
    in_looks = ask(
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
    report = ask(
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
    rows = ask(signups, "--control", "old", "--metric", "signed_up:proportion")
    for metrics in (["--metric", "signed_up:proportion"], []):
        report = ask(totals, "--totals", "--control", "old", *metrics)
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
    report = ask(
        file, "--totals", "--look", "look", "--metric", "ctr:ratio:a/b", "--rule", "always_valid"
    )
    assert report["looks"][-1]["units"] == 2400
    cumulative = {k: list(v) for k, v in columns.items()}
    for name in list(columns)[3:]:
        for n in range(2, 6):
            cumulative[name][n] += cumulative[name][n - 2]
    again = ask(
        write(tmp_path / "cumulative.csv", cumulative), "--totals", "--look", "look", "--cumulative",
        "--metric", "ctr:ratio:a/b", "--rule", "always_valid",
    )  # fmt: skip
    assert again["metrics"] == report["metrics"]


def test_parquet_truth_values_and_standard_input(tmp_path):
    table = pa.table({"variant": ["control", "new"] * 500, "flag": [n % 3 == 0 for n in range(1000)]})
    parquet.write_table(table, tmp_path / "flags.parquet")
    report = ask(tmp_path / "flags.parquet", "--metric", "flag:proportion")
    piped = ask("-", "--metric", "flag:proportion", input=(tmp_path / "flags.parquet").read_bytes())
    assert piped == report
    text = write(
        tmp_path / "f.csv", {"variant": table["variant"].to_pylist(), "flag": table["flag"].to_pylist()}
    )
    assert ask(text, "--metric", "flag:proportion") == report


def test_missing_values_are_left_out_and_said(tmp_path):
    rng = np.random.default_rng(6)
    values = [None if n % 5 == 0 else "NA" if n % 7 == 0 else rng.normal() for n in range(600)]
    variants = ["control" if n % 2 else "new" if n % 3 else None for n in range(600)]
    report = ask(write(tmp_path / "gaps.csv", {"variant": variants, "x": values}), "--metric", "x:mean",
                "--expected", "control=0.6,new=0.4")  # fmt: skip
    missing = [v for v, x in zip(variants, values, strict=True) if x in {None, "NA"}]
    gone = {name: missing.count(name) for name in ("control", "new")}
    assert report["missing"]["x"] == gone
    assert any("rows without a variant" in note for note in report["notes"])
    assert report["metrics"][0]["variants"][0]["n"] == 200 - gone["new"]


def test_what_cannot_be_said_is_null_with_its_reason(units, tmp_path):
    once = tmp_path / "once.csv"
    once.write_text(units.read_text() + "9999,d,1,5,5,DE\n")
    report = ask(
        once, *USUAL, "--metric", "bought:proportion", "--expected", "a=0.333,b=0.333,c=0.333,d=0.001"
    )
    row = report["metrics"][0]["variants"][-1]
    assert row["variant"] == "d"
    assert row["absolute"] is None
    assert row["why_not"] == "n == 1, must be at least 2."


def test_a_few_conversions_get_no_verdict(tmp_path):
    file = write(tmp_path / "few.csv", {"variant": ["control", "new"] * 60, "x": [0, 1, 0, 0] * 30})
    report = ask(file, "--metric", "x:proportion")
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
    report = ask(write(tmp_path / "split.csv", columns), "--metric", "x:mean", "--segment", "browser")
    assert report["decision"]["action"] == "halt"
    assert any("browser=safari" in note for note in report["notes"])


def test_a_large_mean_with_a_small_spread_keeps_its_digits(tmp_path):
    rng = np.random.default_rng(8)
    values = [1e9 + rng.normal() + (n % 2) * 0.3 for n in range(2000)]
    file = write(
        tmp_path / "big.csv", {"variant": ["control", "new"] * 1000, "x": [f"{v:.6f}" for v in values]}
    )
    row = ask(file, "--metric", "x:mean")["metrics"][0]["variants"][0]
    assert row["absolute"]["estimate"] == pytest.approx(0.3, abs=0.15)
    assert row["absolute"]["se"] == pytest.approx(math.sqrt(2 / 1000), rel=0.05)


def test_the_table_and_the_picture(units, tmp_path):
    done = run(units, *USUAL[:4], "--metric", "bought:proportion", "--metric", "revenue:mean",
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
    report = ask(*tables, "--metrics-file", tmp_path / "metrics.json")
    assert [metric["name"] for metric in report["metrics"]] == ["clicked", "spend", "rate", "middle"]
    assert report["metrics"][1]["variants"][0]["n"] == 1000
    total = events["value"].to_numpy()[who % 2 == 0].sum()
    assert report["metrics"][1]["variants"][0]["control_mean"] == pytest.approx(total / 1000)
    for text, words in (('[{"kind": "mean"}]', "lacks 'key'"), ("{}", "must hold a list"), ("[", "cannot be read"),
                        ('[{"key": "m", "kind": "mean"}]', "must be the name of an event")):  # fmt: skip
        (tmp_path / "metrics.json").write_text(text)
        done = run(*tables, "--metrics-file", tmp_path / "metrics.json")
        assert done.exit_code == 2
        assert words in done.output
    assert run(*tables).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--metric", "bought:proportion", "--control", "z"], "control == 'z', not found; the variants are"),
        (["--metric", "bought:proportion", "--control", ""], "control is not named, must be one of ['a'"),
        (["--metric", "bought:odds"], "metric == 'bought:odds', must be NAME:KIND"),
        (["--metric", "bought"], "metric == 'bought', must be NAME:KIND"),
        (["--metric", "x:mean"], "column == 'x', not found; the file has ['id'"),
        (["--metric", "revenue:proportion"], "must be 0 or 1 for a proportion"),
        (["--metric", "country:mean"], "column 'country' has 3000 values such as 'DE', must be numbers"),
        (["--metric", "r:ratio:bought"], "must have two columns, A/B, if and only if it is a ratio"),
        (["--metric", "bought:proportion", "--alpha", "1.2"], "alpha == 1.2, must be in (0, 1)"),
        (["--metric", "bought:proportion", "--expected", "50/20/10"], "sums to 80, must sum to 1 or 100"),
        (["--metric", "bought:proportion", "--expected", "50/50"], "must have a share for each of ['a', 'b', 'c']"),
        (["--metric", "bought:proportion", "--expected", "a=0.5,b=0.5"], "expected shares lack the variant 'c'"),
        (["--metric", "bought:proportion", "--expected", "x/y/z"], "expected share == 'x', must be a number"),
        (["--metric", "bought:proportion", "--policy", "[]"], "policy == '[]', must be a JSON object"),
        (["--metric", "bought:proportion", "--policy", '{"colour": 1}'], "policy field 'colour' is unknown"),
        (["--metric", "bought:proportion", "--planned", "1"], "planned_units == 1, must be at least 2"),
        (["--metric", "bought:proportion", "--guardrail", "x"], "metric == 'x', not among ['bought']"),
        (["--metric", "bought:proportion", "--guardrail", "bought"], "is the first metric: that one decides"),
        (["--metric", "bought:proportion", "--metric", "revenue:mean", "--guardrail", "revenue=-1"], "must not be negative"),
        (["--metric", "bought:proportion", "--cap", "bought=1"], "cap of 'bought' == 1, must be positive, and not of"),
        (["--metric", "revenue:mean", "--cap", "revenue=x"], "cap of 'revenue' == 'x', must be a number"),
        (["--metric", "revenue:median", "--covariate", "revenue=before"], "a quantile has no such covariate"),
        (["--metric", "bought:proportion", "--metric", "bought:mean"], "must have different names"),
        (["--metric", "revenue:mean", "--rule", "exact"], "rule == 'exact', primary metric is a mean"),
        (["--metric", "one:mean:id", "--variant", "id"], "control == 'a', not found"),
        (["--metric", "bought:proportion", "--unit", "country"], "units in two variants == 2"),
        ([], "metrics == 0, must be at least one"),
        (["--events", "nothing.parquet"], "metrics_file is missing"),
        (["--totals", "--metric", "bought:proportion"], "column == 'n', not found"),
    ],
)  # fmt: skip
def test_bad_questions_get_one_sentence_and_status_2(units, arguments, sentence):
    question = ["--variant", "group", "--control", "a"]
    done = run(units, *question, *arguments)
    assert done.exit_code == 2
    assert sentence in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "metric", "sentence"),
    [
        ("", "x:mean", "is empty"),
        ("variant,x\n", "x:mean", "holds no row"),
        ("variant,x\n" + "control,1\nnew,1\n" * 50, "x:mean", "standard error == 0, must be positive"),
        ("variant,x\n" + "control,1\n" * 50, "x:mean", "variants == ['control'], must be at least two"),
        (
            "variant,x\ncontrol,1\nnew,inf\n",
            "x:mean",
            "column 'x' has 1 infinite value, must be finite",
        ),
        ("variant,x\ncontrol,1\nnew,oops\n", "x:mean", "column 'x' has 1 value such as 'oops'"),
        (
            "variant,x,d\n" + "control,1,0\nnew,2,0\n" * 9,
            "r:ratio:x/d",
            "denominator == 0, must not be zero",
        ),
        ("variant,x\ncontrol,1\nnew,2\n", "x:mean", "n == 1, must be at least 2"),
        ("variant,x\n" + "control,1\nnew,2\ncontrol,4\n" * 3, "x:p99", "must be more than 381"),
    ],
)
def test_bad_files_get_one_sentence_and_status_2(tmp_path, text, metric, sentence):
    (tmp_path / "bad.csv").write_text(text)
    done = run(tmp_path / "bad.csv", "--metric", metric)
    assert done.exit_code == 2
    assert sentence in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "does not exist" in run(tmp_path / "no.csv", "--metric", "x:mean").output
    (tmp_path / "latin.csv").write_bytes("variant,x\ncontrol,ö\n".encode("latin-1"))
    done = run(tmp_path / "latin.csv", "--metric", "x:mean")
    assert done.exit_code == 2
    assert "it must be UTF-8" in done.output


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"n": [5.5, 9]}, "n == 5.5 of 'control', must be a whole number"),
        ({"sum": [20, 1]}, "must be in [0, 10] for a proportion"),
        ({"sum": ["x", 1]}, "sum == 'x', must be a number"),
        ({"metric": ["other", "other"]}, "metric == 'x', not found; the file has ['other']"),
    ],
)
def test_impossible_totals_are_refused(tmp_path, columns, sentence):
    usual = {"variant": ["control", "new"], "metric": ["x", "x"], "n": [10, 10], "sum": [1, 2]}
    file = write(tmp_path / "totals.csv", usual | columns)
    done = run(file, "--totals", "--metric", "x:proportion")
    assert done.exit_code == 2
    assert sentence in done.output


def test_squares_that_no_values_have_are_refused(tmp_path):
    columns = {
        "variant": ["control", "new"],
        "metric": ["x"] * 2,
        "n": [10, 10],
        "sum": [50, 40],
        "sum_squares": [9, 900],
    }
    done = run(write(tmp_path / "t.csv", columns), "--totals", "--metric", "x:mean")
    assert "must be at least sum² / n == 250" in done.output
