"""What `bakeoff analyze` refuses: one sentence, and status 2."""

from __future__ import annotations

import pytest

from tests.support.commands import run_analyze
from tests.support.files import write_columns as write


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--metric", "bought:proportion", "--control", "z"], "control == 'z', not found; the variants are"),
        (["--metric", "bought:proportion", "--control", ""], "control is not named, must be one of ['a'"),
        (["--metric", "bought:odds"], "metric == 'bought:odds', must be NAME:KIND"),
        (["--metric", "bought"], "metric == 'bought', must be NAME:KIND"),
        (["--metric", "x:mean"], "column == 'x', not found; the file has ['id'"),
        (["--metric", "Revenue:mean"], "Did you mean 'revenue'?"),
        (["--metric", "bought:proportion", "--segment", "countries"], "Did you mean 'country'?"),
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
        (["--metric", "revenue:mean", "--predict", "before"], "predict needs --unit"),
        (["--metric", "revenue:mean", "--predict", "before", "--unit", "id", "--look", "country"], "predict with --look == 'country', must be one look"),
        (["--metric", "revenue:mean", "--predict", "before", "--covariate", "before", "--unit", "id"], "must stand without --covariate"),
        (["--metric", "revenue:median", "--predict", "revenue=before", "--unit", "id"], "predict of 'revenue', must not be of a quantile"),
        (["--metric", "revenue:mean", "--predict", "age", "--unit", "id"], "column == 'age', not found"),
        (["--metric", "revenue:mean", "--predict", "x=before", "--unit", "id"], "metric == 'x', not among ['revenue']"),
        (["--metric", "revenue:mean", "--predict", "before", "--totals"], "predict with --totals, must be rows of units"),
        (["--predict", "before", "--events", "nothing.parquet"], "predict with --events, must be rows of units"),
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
    done = run_analyze(units, *question, *arguments)
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
    done = run_analyze(tmp_path / "bad.csv", "--metric", metric)
    assert done.exit_code == 2
    assert sentence in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    assert "does not exist" in run_analyze(tmp_path / "no.csv", "--metric", "x:mean").output
    (tmp_path / "latin.csv").write_bytes("variant,x\ncontrol,ö\n".encode("latin-1"))
    done = run_analyze(tmp_path / "latin.csv", "--metric", "x:mean")
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
    done = run_analyze(file, "--totals", "--metric", "x:proportion")
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
    done = run_analyze(write(tmp_path / "t.csv", columns), "--totals", "--metric", "x:mean")
    assert "must be at least sum² / n == 250" in done.output
