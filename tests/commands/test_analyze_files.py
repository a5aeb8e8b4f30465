"""`bakeoff analyze`, through the console script, on files as people have them; what it leaves out, it says."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pytest

from experiments.scorecards.look_order import order_looks
from experiments.scorecards.unit_file import FileError, TextFormat
from tests.support.files import write_columns as write


@pytest.fixture
def analyze(console, tmp_path):
    """Ask for a scorecard as JSON; the folder of the files is the current one."""

    def ask(*arguments, **options) -> dict:
        return json.loads(
            console("analyze", *arguments, "--format", "json", cwd=tmp_path, **options).stdout
        )

    return ask


@pytest.fixture
def refuse(console, tmp_path):
    """Ask for what is refused; return the one sentence."""

    def ask(*arguments) -> str:
        (line,) = console("analyze", *arguments, status=2, cwd=tmp_path).stderr.strip().splitlines()
        return line

    return ask


def first(card: dict) -> dict:
    return card["metrics"][0]["variants"][0]


def revenue_by_user(seed: int, units: int = 3000) -> dict[str, list]:
    """Units with a history that tells much of their revenue; the treatment adds a tenth."""
    rng = np.random.default_rng(seed)
    side = np.arange(units) % 2
    pre = rng.gamma(2, 10, units).round(2)
    revenue = (pre * (1 + 0.1 * side) + rng.normal(0, 3, units)).round(2)
    return {"user": [f"u{n}" for n in range(units)], "variant": np.where(side, "new", "control").tolist(),
            "revenue": revenue.tolist(), "pre": pre.tolist()}  # fmt: skip


# Covariates


def test_units_without_a_history_are_kept_and_said(analyze, console, tmp_path):
    """The effect is on the new units alone: without them it is not seen."""
    rng = np.random.default_rng(1)
    columns = revenue_by_user(1)
    new = rng.random(3000) < 0.4
    side = np.arange(3000) % 2
    columns["pre"] = [None if n else x for n, x in zip(new, columns["pre"], strict=True)]
    columns["revenue"] = (rng.gamma(2, 10, 3000) * (1 + 0.3 * side * new)).round(2).tolist()
    write(tmp_path / "new.csv", columns)
    question = ["new.csv", "--unit", "user", "--metric", "revenue:mean"]
    card = analyze(*question, "--covariate", "pre")
    plain = analyze(*question)
    lost = {
        v: sum(n and s == (v == "new") for n, s in zip(new, side, strict=True))
        for v in ("control", "new")
    }
    assert (first(card)["n"], first(card)["control_n"]) == (1500, 1500)
    assert card["imputed"] == {"pre": {name: int(count) for name, count in lost.items()}}
    assert card["missing"] == {}
    assert first(card)["absolute"]["estimate"] == pytest.approx(
        first(plain)["absolute"]["estimate"], abs=0.5
    )
    assert "covariate 'pre' are kept, and count as 0" in console(
        "analyze", *question, "--covariate", "pre", cwd=tmp_path
    ).stdout  # fmt: skip


def test_a_covariate_counts_once_per_unit(analyze, tmp_path):
    """Rows per unit and day, with the covariate on each, on the first, or one row per unit: the same."""
    columns = revenue_by_user(2, 600)
    write(tmp_path / "units.csv", columns)
    days: dict[str, list] = {name: [] for name in (*columns, "day")}
    blank: dict[str, list] = {name: [] for name in (*columns, "day")}
    for n in range(600):
        for day in range(1 + n % 4):
            row = {name: columns[name][n] for name in columns} | {"day": day}
            row["revenue"] = columns["revenue"][n] if day == 0 else 0
            for name, values in days.items():
                values.append(row[name])
                blank[name].append(None if name == "pre" and day else row[name])
    write(tmp_path / "days.csv", days)
    write(tmp_path / "blank.csv", blank)
    question = ["--unit", "user", "--metric", "revenue:mean", "--covariate", "pre"]
    per_unit = first(analyze("units.csv", *question))
    for file in ("days.csv", "blank.csv"):
        row = first(analyze(file, *question))
        assert row["variance_reduction"] == pytest.approx(per_unit["variance_reduction"])
        assert row["absolute"]["se"] == pytest.approx(per_unit["absolute"]["se"])
    looks = analyze("days.csv", *question, "--look", "day", "--rule", "always_valid", "--planned", "100000",
                    "--policy", '{"futility": false, "minimum_nonzero": 100000}')  # fmt: skip
    assert first(looks)["absolute"]["se"] == pytest.approx(per_unit["absolute"]["se"])


def test_a_covariate_that_changes_within_a_unit_is_refused(refuse, tmp_path):
    columns = {"user": ["a", "a", "b", "c"], "variant": ["control", "control", "new", "new"],
               "x": [1, 2, 3, 4], "pre": [1, 2, 3, 4]}  # fmt: skip
    write(tmp_path / "rows.csv", columns)
    assert (
        "covariate 'pre' changes between the rows of 1 unit such as 'a', must have one value"
        in refuse("rows.csv", "--unit", "user", "--metric", "x:mean", "--covariate", "pre")
    )


def test_a_prediction_takes_out_more_than_one_column(analyze, tmp_path):
    """What bends with the history, and differs by a name, no line takes out; the same file, the same answer."""
    rng = np.random.default_rng(8)
    columns = revenue_by_user(8, 2000)
    pro = rng.random(2000) < 0.5
    level = np.where(pro, np.minimum(columns["pre"], 15.0), 2.0)
    columns["revenue"] = (level + rng.normal(0, 2, 2000)).round(2).tolist()
    columns["plan"] = np.where(pro, "pro", "free").tolist()
    columns["pre"][3] = None  # a newcomer
    write(tmp_path / "units.csv", columns)
    question = ["units.csv", "--unit", "user", "--metric", "revenue:mean"]
    cuped = first(analyze(*question, "--covariate", "pre"))
    card = analyze(*question, "--predict", "pre,plan")
    ours = first(card)
    assert ours["variance_reduction"] > cuped["variance_reduction"] + 0.3
    assert ours["absolute"]["ci"][0] < 0 < ours["absolute"]["ci"][1]
    assert (ours["n"], ours["control_n"]) == (1000, 1000)
    assert any("adjusted by a prediction from ['pre', 'plan']" in note for note in card["notes"])
    again = first(analyze(*question, "--predict", "revenue=pre,plan"))
    assert again["absolute"]["estimate"] == pytest.approx(ours["absolute"]["estimate"], rel=1e-12)


def test_too_few_units_to_predict_from_are_refused(refuse, tmp_path):
    write(tmp_path / "units.csv", revenue_by_user(9, 400))
    assert "'revenue' cannot be predicted: units to learn a prediction from ==" in refuse(
        "units.csv", "--unit", "user", "--metric", "revenue:mean", "--predict", "pre"
    )


def test_a_cap_of_a_ratio_is_refused(refuse, tmp_path):
    write(tmp_path / "rows.csv", {"variant": ["control", "new"], "a": [1, 2], "b": [1, 1]})
    assert "cap of 'r' == 5, must not be of a ratio" in refuse(
        "rows.csv", "--metric", "r:ratio:a/b", "--cap", "r=5"
    )


# Looks

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ([f"week {n}" for n in range(1, 13)], []),
        ([f"Week{n}" for n in range(1, 13)], []),
        ([str(n) for n in range(1, 13)], []),
        ([f"2026-{n:02}-01" for n in range(1, 13)], []),
        ([f"{n}/15/2026" for n in range(1, 13)], []),  # no month has the number 15
        ([f"15.{n:02}.2026" for n in range(1, 13)], []),
        ([f"{n}/5/2026" for n in range(1, 13)], ["--dates", "month-first"]),
        ([f"5-{n}-26" for n in range(1, 13)], ["--dates", "day-first"]),
        ([f"{month} 2026" for month in MONTHS], []),
        ([f"7 {month} 2026" for month in MONTHS], []),
        ([f"{month[:3]} 7, 2026" for month in MONTHS], []),
        ([month[:3] for month in MONTHS], []),
    ],
)  # fmt: skip
def test_looks_are_in_the_order_of_time(names, options):
    shuffled = sorted(names)
    assert order_looks(shuffled, options[1] if options else None) == (names, "")


def test_text_looks_get_the_verdict_of_numbered_ones(analyze, tmp_path):
    """The effect shows itself at week 7; by the alphabet weeks 10, 11 and 12 would come second."""
    weeks, sides, bought = [], [], []
    for week in range(1, 13):
        for n in range(400):
            weeks.append(week)
            sides.append("new" if n % 2 else "control")
            bought.append(int(n // 2 < (20 if not n % 2 else 31 if week <= 7 else 10)))
    columns = {"variant": sides, "bought": bought}
    write(tmp_path / "number.csv", {"week": weeks, **columns})
    write(tmp_path / "text.csv", {"week": [f"week {n}" for n in weeks], **columns})
    write(tmp_path / "us.csv", {"week": [f"{n}/2/2026" for n in weeks], **columns})
    question = ["--look", "week", "--rule", "group_sequential", "--metric", "bought:proportion"]
    numbered = analyze("number.csv", *question)
    assert numbered["decision"]["action"] == "ship"
    texts = analyze("text.csv", *question)
    assert texts["stopped_at"] == f"week {numbered['stopped_at']}"
    assert texts["metrics"] == numbered["metrics"]
    dates = analyze("us.csv", *question, "--dates", "month-first")
    assert dates["stopped_at"] == f"{numbered['stopped_at']}/2/2026"


def test_a_date_of_two_readings_is_refused(refuse, tmp_path):
    columns = {
        "day": ["1/2/2026", "2/1/2026"] * 2,
        "variant": ["control", "new"] * 2,
        "x": [0, 1, 1, 0],
    }
    write(tmp_path / "days.csv", columns)
    sentence = refuse("days.csv", "--look", "day", "--metric", "x:proportion")
    assert (
        "look == '1/2/2026' can be the day-first or the month-first date: say which with --dates"
        in sentence
    )
    write(tmp_path / "both.csv", columns | {"day": ["13/2/2026", "2/13/2026"] * 2})
    assert "must be dates that are all day-first or all month-first" in refuse(
        "both.csv", "--look", "day", "--metric", "x:proportion"
    )


def test_looks_without_an_order_are_said():
    assert order_looks(["second", "first"]) == (
        ["first", "second"], "Looks without a number or a date are in the order of the alphabet: 'first', 'second'.",
    )  # fmt: skip
    with pytest.raises(FileError, match="must be a date, day-first"):
        order_looks(["1/13/2026", "1/14/2026"], "day-first")


def test_looks_of_totals_are_in_the_order_of_time(analyze, tmp_path):
    columns = {
        "look": [f"week {n}" for n in (1, 1, 2, 2, 10, 10)], "variant": ["control", "new"] * 3,
        "metric": ["m"] * 6, "n": [1000] * 6, "sum": [100, 110, 100, 110, 100, 110],
    }  # fmt: skip
    write(tmp_path / "totals.csv", columns)
    card = analyze("totals.csv", "--totals", "--metric", "m:proportion", "--look", "look", "--rule",
                   "always_valid", "--policy", '{"futility": false}', "--planned", "100000")  # fmt: skip
    assert [look["look"] for look in card["looks"]] == ["week 1", "week 2", "week 10"]


# Variants


def test_a_variant_can_be_left_out(analyze, refuse, console, tmp_path):
    rows = 3000
    columns = {
        "user": range(rows),
        "variant": ["control", "new", "holdout"] * (rows // 3),
        "x": [0, 1, 0, 0, 0, 1] * (rows // 6),
    }
    write(tmp_path / "rows.csv", columns)
    for unit in ([], ["--unit", "user"]):
        card = analyze(
            "rows.csv", *unit, "--metric", "x:proportion", "--exclude", "holdout", "--expected", "50/50"
        )
        assert card["units"] == {"control": 1000, "new": 1000}
        assert card["left_out"]["excluded_variants"] == {"holdout": 1000}
    table = console(
        "analyze", "rows.csv", "--metric", "x:proportion", "--exclude", "holdout", cwd=tmp_path
    )
    assert "1000 units of the variant 'holdout' are left out, as --exclude asks." in table.stdout
    assert "exclude == 'nobody', not found; the variants are ['control', 'holdout', 'new']" in refuse(
        "rows.csv", "--metric", "x:proportion", "--exclude", "nobody"
    )
    write(
        tmp_path / "totals.csv",
        {"variant": ["control", "new", "holdout"], "n": [900] * 3, "sum": [90, 120, 1]},
    )
    card = analyze("totals.csv", "--totals", "--metric", "x:proportion", "--exclude", "holdout")
    assert (card["units"], card["left_out"]["excluded_variants"]) == (
        {"control": 900, "new": 900},
        {"holdout": 900},
    )


def test_odd_files_are_said(analyze, tmp_path):
    rng = np.random.default_rng(3)
    names = ["control", "Control", "test ", "Test"]
    write(tmp_path / "case.csv", {"variant": names * 200, "x": rng.integers(0, 2, 800)})
    notes = analyze("case.csv", "--metric", "x:proportion")["notes"]
    assert "Variants ['Control', 'control'] differ only in case or blanks: are they one?" in notes
    assert "Variants ['Test', 'test '] differ only in case or blanks: are they one?" in notes

    columns = revenue_by_user(4, 300)
    write(tmp_path / "once.csv", columns)
    write(tmp_path / "twice.csv", {name: [*values, *values] for name, values in columns.items()})
    for unit in ([], ["--unit", "user"]):
        warnings = [
            note
            for note in analyze("twice.csv", *unit, "--metric", "revenue:mean")["notes"]
            if "identical" in note
        ]
        assert warnings == [
            "300 rows are identical to another one: was the file joined or written twice? Each of them counts."
        ]
        assert not any(
            "identical" in note
            for note in analyze("once.csv", *unit, "--metric", "revenue:mean")["notes"]
        )
    few = {"variant": ["control", "new"] * 300, "x": rng.integers(0, 2, 600)}  # equal rows are ordinary
    write(tmp_path / "few.csv", few)
    assert not any(
        "identical" in note for note in analyze("few.csv", "--metric", "x:proportion")["notes"]
    )


def test_units_in_two_variants_and_rows_without_one_are_in_the_json(analyze, tmp_path):
    columns = {"user": [*range(400), 0, 1, 2, 900], "variant": [*(["control", "new"] * 200), "new", "control", "new", None],
               "x": [0, 0, 0, 1] * 101}  # fmt: skip
    write(tmp_path / "rows.csv", columns)
    card = analyze("rows.csv", "--unit", "user", "--metric", "x:proportion")
    assert card["left_out"]["rows_without_variant"] == 1
    assert card["left_out"]["units_in_two_variants"] == 3
    assert "3 units in two variants are left out." in card["notes"]


def test_names_stay_as_they_are_written(analyze, tmp_path):
    """'007' is not '7', and a variant may be called 1 or true."""
    columns = {
        "user": [f"{'00' * (n % 2)}{n // 2}" for n in range(800)],
        "variant": ["0", "1"] * 400,
        "x": [0, 1, 1, 1] * 200,
    }
    write(tmp_path / "rows.csv", columns)
    card = analyze("rows.csv", "--unit", "user", "--metric", "x:proportion", "--control", "0")
    assert card["units"] == {"0": 400, "1": 400}


# Text


PLAIN = "user,variant,revenue\n" + "".join(
    f"ü{n},{'new' if n % 2 else 'control'},{1000 + n * 7.25:.2f}\n" for n in range(400)
)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        (lambda text: text.encode("utf-16"), []),
        (lambda text: text.encode("utf-8-sig"), []),
        (lambda text: text.encode("utf-16-be"), ["--encoding", "utf-16-be"]),
        (lambda text: text.encode("latin-1"), ["--encoding", "latin-1"]),
        (lambda text: gzip.compress(text.encode("utf-16")), []),
        (lambda text: text.replace(",", ";").encode(), []),
        (lambda text: text.replace(",", "\t").encode(), []),
        (lambda text: text.replace(",", ";").replace(".", ",").encode(), ["--decimal", ","]),
        (lambda text: re.sub(r"(\d)(\d{3}\.)", r"\1'\2", text).encode(), ["--thousands", "'"]),
        (lambda text: re.sub(r",(\d)(\d{3}\.\d\d)", r',"\1,\2"', text).encode(), ["--thousands", ","]),
        (lambda text: re.sub(r",(\d)(\d{3})\.(\d\d)", r";\1.\2,\3", text).replace(",n", ";n").replace(",c", ";c")
         .replace("user,variant,", "user;variant;").encode(), ["--decimal", ",", "--thousands", "."]),
        (lambda text: re.sub(r"(\d)(\d{3}\.)", "\\1\u00a0\\2", text).encode(), ["--thousands", " "]),
    ],
)  # fmt: skip
def test_text_is_read_as_people_write_it(analyze, tmp_path, form, options):
    (tmp_path / "plain.csv").write_text(PLAIN)
    (tmp_path / "other.csv").write_bytes(form(PLAIN))
    question = ["--unit", "user", "--metric", "revenue:mean"]
    assert analyze("other.csv", *question, *options) == analyze("plain.csv", *question)


@pytest.mark.parametrize(
    ("value", "options", "sentence"),
    [
        ("33,75", [], "such as '33,75', must be numbers; --decimal , reads such ones"),
        ('"1,234.5"', [], "such as '1,234.5', must be numbers; --thousands , reads such ones"),
        ("1.234,5", [], "such as '1.234,5', must be numbers; --decimal , --thousands . reads such ones"),
        ("1_000", [], "such as '1_000', must be numbers."),
        ("$19.99", [], "such as '$19.99', must be numbers."),
        ("1,5", ["--thousands", ","], "such as '1,5', must be numbers"),
        ("2026-01-01", [], "must be numbers"),
        ("1,5", ["--decimal", ",", "--thousands", ","], "thousands == ',', must differ from the decimal mark"),
        ("1", ["--encoding", "klingon"], "encoding == 'klingon', must be a known one, such as utf-16 or latin-1"),
        ("1", ["--encoding", "utf-16"], "file == 'rows.csv', is not written in utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_number_names_the_option_that_reads_it(refuse, tmp_path, value, options, sentence):
    (tmp_path / "rows.csv").write_text(f"variant;x\ncontrol;{value}\nnew;{value}\n")
    assert sentence in refuse("rows.csv", "--metric", "x:mean", *options)


def test_a_workbook_and_an_unknown_encoding_are_one_sentence(refuse, tmp_path):
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04 and so on")
    assert "file == 'book.csv', is a workbook or an archive, must be CSV or Parquet" in refuse(
        "book.csv", "--metric", "x:mean"
    )
    (tmp_path / "latin.csv").write_bytes("variant,x\ncontrol,ö\n".encode("latin-1"))
    assert "it must be UTF-8, or its encoding be named with --encoding" in refuse(
        "latin.csv", "--metric", "x:mean"
    )


def test_a_form_of_numbers_must_be_one():
    assert TextFormat(",", ".").as_plain("1.234,5") == "1234.5"


# Numbers that are shown


def test_no_p_value_is_zero(console, tmp_path):
    write(
        tmp_path / "totals.csv",
        {"variant": ["control", "new"], "n": [10**7] * 2, "sum": [10**6, 2 * 10**6]},
    )
    table = console(
        "analyze", "totals.csv", "--totals", "--metric", "m:proportion", cwd=tmp_path
    ).stdout
    assert "< 1e-300" in table
    assert not re.search(r"\s0\s", table)


def test_a_plan_from_zero_is_absolute(console):
    plan = ["power", "--kind", "mean", "--baseline", "0", "--sd", "35", "--mde", "1", "--rule", "fixed"]
    plan_json = json.loads(console(*plan, "--absolute", "--format", "json").stdout)
    assert (plan_json["mde_absolute"], plan_json["mde_relative"]) == (1, None)
    assert plan_json["units_per_variant"] == [19230, 19230]
    assert "smallest effect, relative" in console(*plan, "--absolute").stdout
    assert (
        "baseline == 0, must not be zero unless the effect is absolute"
        in console(*plan, status=2).stderr
    )
