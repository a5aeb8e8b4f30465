"""The SQL of warehouses that no test can reach, and how one that can be reached is opened.

`REWRITE_GOLDEN=1` writes the files anew, for a person to read what changed.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import ibis
import pytest
from ibis.backends.sql import compilers
from sqlglot import exp

from experiments.metrics.spec import MetricSpec
from experiments.scorecards.unit_file import FileError
from experiments.scorecards.warehouse import (
    Records,
    condition,
    open_parquet,
    open_tables,
    totals_of,
    totals_table,
)
from experiments.scorecards.warehouse_engines import connect
from tests.support.commands import run_analyze
from tests.support.warehouse_rows import (
    FILTERS,
    KINDS,
    START,
    TABLES,
    check_equal,
    write_tables,
)

GOLDEN = Path(__file__).parent / "golden"
NOW = START + timedelta(hours=2)
SPECS = {
    key: MetricSpec.from_json({"key": key, "window_seconds": 1800, **fields})
    for key, fields in (KINDS | FILTERS).items()
}
MOMENT = "timestamp('UTC')"
EVENTS = {
    "unit_id": "string", "name": "string", "occurred_at": MOMENT, "value": "float64",
    "item_id": "string", "properties": "string", "recommendation_id": "string", "source": "string",
}  # fmt: skip


def records_of(engine: str, properties: str = "string") -> Records:
    """Tables without an engine: their SQL can be read, not run."""
    return Records(
        exposures=ibis.table(
            {"unit_id": "string", "variant": "string", "exposed_at": MOMENT}, name="exposures"
        ),
        events=ibis.table(EVENTS | {"properties": properties}, name="events"),
        slates=ibis.table(
            {"recommendation_id": "string", "unit_id": "string", "served_at": MOMENT}, name="slates"
        ),
        engine=engine,
    )


def compiled(expression, engine: str) -> str:
    compiler = getattr(compilers, engine).compiler
    return compiler.to_sqlglot(expression).sql(dialect=compiler.dialect, pretty=True)


def check_golden(path: Path, text: str) -> None:
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs: REWRITE_GOLDEN=1 writes it anew."


@pytest.mark.parametrize("engine", ["bigquery", "snowflake"])
def test_the_sql_of_every_kind_and_filter(engine):
    records = records_of(engine)
    parts = [
        f"-- {key}\n{compiled(totals_table(SPECS[key], records, now=NOW), engine)};\n" for key in KINDS
    ]
    for key in FILTERS:
        (one,) = SPECS[key].filters
        rows = records.events.filter(condition(records.events, one, engine)).select("unit_id")
        parts.append(f"-- filter: {key}\n{compiled(rows, engine)};\n")
    check_golden(GOLDEN / f"{engine}.sql", "\n".join(parts))


@pytest.mark.parametrize("engine", ["bigquery", "snowflake"])
def test_no_sql_guesses(engine):
    """Counts are exact, and a column that is JSON already is not read as a text."""
    records = records_of(engine)
    for key in KINDS:
        sql = compiled(totals_table(SPECS[key], records, now=NOW), engine).lower()
        assert not any(word in sql for word in ("approx", "hll", "percentile", "sample")), key
    assert "count(distinct" in compiled(totals_table(SPECS["items"], records, now=NOW), engine).lower()
    for properties, parses in (("string", True), ("json", False)):
        records = records_of(engine, properties)
        sql = compiled(totals_table(SPECS["a text"], records, now=NOW), engine)
        assert ("parse_json" in sql.lower()) is parses


@pytest.mark.parametrize("engine", ["bigquery", "snowflake", "postgres"])
def test_no_boolean_is_cast(engine):
    """BigQuery makes no float of one, PostgreSQL neither a float nor a bigint."""
    records = records_of(engine)
    compiler = getattr(compilers, engine).compiler
    casts = 0
    for key in KINDS:
        for cast in compiler.to_sqlglot(totals_table(SPECS[key], records, now=NOW)).find_all(exp.Cast):
            casts += 1
            assert not isinstance(cast.this, exp.Predicate), cast.sql()
    assert casts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Parquet files, and the same rows as tables of DuckDB whose columns are in capitals."""
    folder = tmp_path_factory.mktemp("warehouse")
    write_tables(folder, units=60, events=600)
    with duckdb.connect(str(folder / "shop.duckdb")) as engine:
        for name in TABLES:
            rows = engine.read_parquet(str(folder / f"{name}.parquet"))
            columns = ", ".join(f'{column} AS "{column.upper()}"' for column in rows.columns)
            rows.project(columns).create(name)
    (folder / "metrics.json").write_text(
        json.dumps([{"key": "clicks", "kind": "mean", "event": "click"}])
    )
    return folder


def test_a_database_gives_the_totals_of_the_files(folder):
    files = open_parquet(*(str(folder / f"{name}.parquet") for name in TABLES))
    tables = open_tables(f"duckdb://{folder}/shop.duckdb", *TABLES)
    for key in ("sum", "items", "a slate", "quantile", "parts of a second", "a name with a dot"):
        ours = totals_of(SPECS[key], files, now=NOW)
        assert ours[0], key
        check_equal(ours, totals_of(SPECS[key], tables, now=NOW))


def analyzed(folder: Path, url: str, *, exposures="exposures", events=("--events", "events")):
    done = run_analyze(
        exposures, *events, "--metrics-file", folder / "metrics.json", "--warehouse", url
    )
    return done.exit_code, done.output


def test_the_command_reads_a_database(folder):
    status, output = analyzed(folder, f"duckdb://{folder}/shop.duckdb")
    assert status == 0, output
    assert "clicks" in output


def test_what_cannot_be_opened_is_refused(folder):
    url = f"duckdb://{folder}/shop.duckdb"
    for shown, words in (
        (("mysql://host/shop", "exposures"), "warehouse begins with 'mysql', must begin with one of"),
        (("shop", "exposures"), "warehouse begins with 'shop', must begin with one of"),
        ((f"duckdb://{folder}/none.duckdb", "exposures"), "warehouse cannot be opened: "),
        ((url, "nowhere"), "table 'nowhere' cannot be read: "),
        ((url, "events"), "exposures lacks the column 'exposed_at'"),
    ):
        status, output = analyzed(folder, shown[0], exposures=shown[1])
        assert (status, words in output) == (2, True), output
    assert not (folder / "none.duckdb").exists()
    status, output = analyzed(folder, url, events=())
    assert (status, "events is missing, must name" in output) == (2, True), output


def test_a_client_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis.backends.clickhouse", None)
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(FileError, match=r"is not installed: pip install 'bakeoff\[clickhouse\]'"):
        connect("clickhouse://host/shop")
