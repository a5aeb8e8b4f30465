"""The same metrics from other engines: ClickHouse and Spark say what DuckDB and PostgreSQL say."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import NamedTuple

import clickhouse_connect  # noqa: F401  a missing client must fail here, and not skip
import ibis
import pytest
from click.testing import CliRunner

from bakeoff.commands.analyze import analyze
from experiments.metrics.spec import MetricSpec
from experiments.scorecards.warehouse import Records, open_parquet, open_tables, totals_of
from tests.support.story import Story, roll
from tests.support.story_export import export
from tests.support.warehouse_rows import (
    FILTERS,
    KINDS,
    START,
    TABLES,
    check_equal,
    write_tables,
)

# Spark calls pandas by older names, and changes its options for the rest of the process.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
NOW = START + timedelta(hours=2)
SPECS = {
    key: MetricSpec.from_json({"key": key, "window_seconds": 1800, **fields})
    for key, fields in (KINDS | FILTERS).items()
}
# Each metric takes Spark's planner a second or two: one of each kind, and one of each type of value.
SPARKS = [*KINDS, "a text", "a number", "a flag", "a missing name", "a name with a dot"]


class Warehouse(NamedTuple):
    """An engine with the tables of a folder in it."""

    url: str
    records: Records


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    write_tables(folder)
    return folder


@pytest.fixture(scope="module")
def duckdb(parquet):
    return open_parquet(*(str(parquet / f"{name}.parquet") for name in TABLES))


@pytest.fixture(scope="module")
def clickhouse(parquet, tmp_path_factory):
    """ClickHouse in this process, which has one folder of data for all."""
    url = f"clickhouse://localhost/default?interface=chdb&path={tmp_path_factory.mktemp('clickhouse')}"
    fill_clickhouse(url, "default", parquet)
    return Warehouse(url, open_tables(url, *TABLES))


def fill_clickhouse(url: str, database: str, folder) -> None:
    engine = ibis.connect(url)
    engine.con.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    for name in TABLES:
        source = f"file('{folder / name}.parquet')"
        table = f"{database}.{name} ENGINE=MergeTree ORDER BY tuple()"
        engine.con.command(f"CREATE TABLE {table} AS SELECT * FROM {source}")
    engine.con.close()


@pytest.fixture(scope="module")
def spark(parquet):
    """Spark on this machine, by a JVM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        url = "pyspark://?spark.master=local%5B2%5D&spark.sql.shuffle.partitions=2"
        session = ibis.connect(url)._session
        for name in TABLES:
            session.read.parquet(str(parquet / f"{name}.parquet")).createOrReplaceTempView(name)
        yield Warehouse(url, open_tables(url, *TABLES))
        session.stop()


@pytest.mark.parametrize("key", SPECS)
def test_clickhouse_says_what_duckdb_says(duckdb, clickhouse, key):
    ours = totals_of(SPECS[key], duckdb, now=NOW)
    assert any(totals for epoch in ours for totals in epoch.values())
    check_equal(ours, totals_of(SPECS[key], clickhouse.records, now=NOW))


@pytest.mark.parametrize("key", SPARKS)
def test_spark_says_what_duckdb_says(duckdb, spark, key):
    check_equal(totals_of(SPECS[key], duckdb, now=NOW), totals_of(SPECS[key], spark.records, now=NOW))


def test_clickhouse_says_what_postgresql_says(tables, clickhouse, tmp_path):
    story = Story()
    for n in range(5):
        story.expose(f"u{n}", "control" if n % 2 else "treatment", 10.0 * n)
    for n in range(40):
        story.happen(("click", "view")[n % 2], f"u{n % 5}", 7.0 * n % 80, f"e{n}")
    now = story.start + timedelta(seconds=90)
    roll(story.experiment, now)
    export(story, tmp_path)
    fill_clickhouse(clickhouse.url, "story", tmp_path)
    records = open_tables(clickhouse.url, *(f"story.{name}" for name in TABLES))
    for metric, spec in story.specs.items():
        totals = totals_of(spec, records, now=now)
        check_equal([story.stored(metric)], totals or [{}])


def analyzed(*arguments: str, **environment: str):
    return CliRunner().invoke(analyze, arguments, env=environment)


def test_the_command_reads_tables_of_a_warehouse(parquet, clickhouse, tmp_path):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps([{"key": "clicks", "kind": "mean", "event": "click"}]))
    files = [str(parquet / f"{name}.parquet") for name in ("exposures", "events")]
    shared = ["--metrics-file", str(metrics), "--format", "json"]
    ours = analyzed(files[0], "--events", files[1], *shared)
    theirs = analyzed("exposures", "--events", "events", *shared, BAKEOFF_WAREHOUSE=clickhouse.url)
    assert (ours.exit_code, theirs.exit_code) == (0, 0), theirs.output
    assert json.loads(theirs.output)["units"] == json.loads(ours.output)["units"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("nowhere", "table 'nowhere' cannot be read"),
        ("events", "exposures lacks the column 'exposed_at'"),
    ],
)
def test_a_table_that_is_none_is_refused(clickhouse, tmp_path, table, message):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps([{"key": "clicks", "kind": "mean", "event": "click"}]))
    done = analyzed(
        table, "--events", "events", "--metrics-file", str(metrics), "--warehouse", clickhouse.url
    )
    assert done.exit_code == 2
    assert message in done.output


def test_a_warehouse_that_nobody_answers_for_is_refused(tmp_path):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps([{"key": "clicks", "kind": "mean", "event": "click"}]))
    url = "clickhouse://me:secret-word@127.0.0.1:9/shop"
    done = analyzed(
        "exposures", "--events", "events", "--metrics-file", str(metrics), "--warehouse", url
    )
    assert done.exit_code == 2
    assert "warehouse cannot be opened" in done.output
    assert "secret-word" not in done.output
