"""The golden SQL of Snowflake, run by fakesnow over the rows of the other engines: DuckDB's totals, to the last.

fakesnow translates Snowflake's SQL to DuckDB's, so this shows that the statements say what is meant; not
what Snowflake itself does with rounding, time zones or permissions.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from experiments.metrics.spec import MetricSpec
from experiments.scorecards.warehouse import condition, open_parquet, read_totals, totals_of
from tests.support.warehouse_rows import (
    FILTERS,
    KINDS,
    START,
    TABLES,
    check_equal,
    write_tables,
)

ROOT = Path(__file__).parents[2]
NOW = START + timedelta(hours=2)
WHOLE = ("n", "nonzero", "epoch", "bucket", "units")
# What fakesnow 0.12.1 translates wrongly: it loses the brackets before IS NOT NULL, and takes a name
# with a dot for a path.
LACKING = {
    "a name that is there": "json_extract(JSON, BOOLEAN)",
    "a missing name": "json_extract(JSON, BOOLEAN)",
    "a name with a dot": [],
}


def spec_of(key: str) -> MetricSpec:
    return MetricSpec.from_json({"key": key, "window_seconds": 1800, **(KINDS | FILTERS)[key]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snowflake")
    write_tables(folder)
    return folder


@pytest.fixture(scope="module")
def records(folder):
    return open_parquet(*(str(folder / f"{name}.parquet") for name in TABLES))


@pytest.fixture(scope="module")
def answers(folder):
    """The answer to each statement of the golden file, by its name there."""
    python = folder / "environment" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", folder / "environment"],
        [python, "-m", "pip", "install", "-q", "-r", ROOT / "requirements-fakesnow.txt"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    text = (ROOT / "tests" / "scorecards" / "golden" / "snowflake.sql").read_text()
    parts = re.split(r"^-- (.+)$", text, flags=re.MULTILINE)[1:]
    statements = [part.strip().removesuffix(";") for part in parts[1::2]]
    (folder / "statements.json").write_text(json.dumps(statements))
    # Isolated: the environment has nothing of ours, not even on its path.
    runner = ROOT / "tests" / "support" / "fakesnow_runner.py"
    done = subprocess.run([python, "-I", runner, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(parts[0::2], json.loads((folder / "answers.json").read_text()), strict=True))


def test_the_golden_file_has_every_kind_and_filter(answers):
    assert set(answers) == {*KINDS, *(f"filter: {key}" for key in FILTERS)}


@pytest.mark.parametrize("key", KINDS)
def test_totals_are_those_of_duckdb(records, answers, key):
    rows = answers[key]
    assert isinstance(rows, list), rows
    for row in rows:
        # Its connector gives sums of whole numbers as decimals.
        row.update({name: int(row[name]) for name in WHOLE if name in row})
    ours = totals_of(spec_of(key), records, now=NOW)
    assert any(totals for epoch in ours for totals in epoch.values())
    check_equal(ours, read_totals(spec_of(key), rows))


@pytest.mark.parametrize("key", [key for key in FILTERS if key not in LACKING])
def test_filters_take_the_events_that_duckdb_takes(records, answers, key):
    rows = answers[f"filter: {key}"]
    assert isinstance(rows, list), rows
    (one,) = spec_of(key).filters
    taken = records.events.filter(condition(records.events, one, records.engine)).unit_id
    ours = Counter(taken.to_pyarrow().to_pylist())
    assert ours
    assert Counter(row["unit_id"] for row in rows) == ours


@pytest.mark.parametrize(("key", "answer"), LACKING.items())
def test_what_fakesnow_lacks_it_lacks_still(answers, key, answer):
    """One that has learnt it is compared as the others are."""
    rows = answers[f"filter: {key}"]
    assert rows == answer if isinstance(answer, list) else answer in rows
