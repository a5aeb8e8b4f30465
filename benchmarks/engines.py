"""`bakeoff analyze`'s totals of the same rows on DuckDB, ClickHouse, Spark and PostgreSQL.

ClickHouse runs in this process (chdb), Spark in a JVM of this machine. An engine that is not installed
(`requirements-infra.txt`) is left out, and the notes say so. Loading is not measured: a warehouse has
its rows already.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.results import Row, write_result
from benchmarks.servers import servers
from experiments.metrics.spec import MetricSpec
from experiments.scorecards.warehouse import (
    Records,
    open_parquet,
    open_tables,
    totals_of,
)
from experiments.stats.quantiles import Sketch

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("exposures", "events")
NOW = datetime(2026, 2, 1, tzinfo=UTC)
METRICS = [
    {"key": "bought", "kind": "proportion", "event": "buy", "lookback_seconds": 604_800},
    {"key": "spend", "kind": "mean", "event": "buy", "value": "sum", "lookback_seconds": 604_800},
    {"key": "rate", "kind": "ratio", "event": "click", "denominator": "view"},
    {"key": "middle", "kind": "quantile", "event": "buy", "value": "sum"},
]
PER_UNIT, RUNS = 20, 3


def run(size: str, home: str) -> None:
    events = 10_000_000 if size == "full" else 200_000
    specs = [MetricSpec.from_json({"window_seconds": 604_800, **fields}) for fields in METRICS]
    folder = Path(home) / "rows"
    folder.mkdir(parents=True)
    _write_rows(folder, events)
    engines: dict[str, Callable[[Path], Records]] = {"DuckDB over Parquet": _duckdb}
    missing = []
    for name, package, opened in (
        ("ClickHouse (chdb)", "chdb", _clickhouse),
        ("Spark, local", "pyspark", _spark),
    ):
        if find_spec(package):
            engines[name] = opened
        else:
            missing.append(name)
    engines["PostgreSQL, by Ibis"] = _postgres
    rows, first = [], None
    with servers(str(Path(home) / "home")):
        for name, opened in engines.items():
            seconds, totals = _timed(opened(folder), specs)
            first = first or totals
            _check_equal(name, first, totals)
            median = statistics.median(seconds)
            rows.append(
                Row(f"{name}: {len(specs)} metrics of {events:,} events", median, "s",
                    higher_is_better=False, spread=f"{min(seconds):.4g} to {max(seconds):.4g}")
            )  # fmt: skip
    notes = f"{events // PER_UNIT:,} users. Equal totals on every engine. {RUNS} runs after a first."
    write_result("engines", size, rows, notes + "".join(f" Not installed: {one}." for one in missing))


def _write_rows(folder: Path, events: int) -> None:
    units = events // PER_UNIT
    with duckdb.connect() as engine:
        engine.execute("SELECT setseed(0.5)")
        engine.execute(f"""COPY (SELECT 'u' || n AS unit_id,
            CASE WHEN hash(n) % 2 = 0 THEN 'control' ELSE 'new' END AS variant,
            TIMESTAMPTZ '2026-01-08 00:00:00+00' + to_seconds((hash(n, 1) % 604800)::BIGINT) AS exposed_at
            FROM range({units}) AS t(n)) TO '{folder}/exposures.parquet'""")
        engine.execute(f"""COPY (SELECT 'u' || (hash(n, 2) % {units}) AS unit_id,
            CASE hash(n, 3) % 10 WHEN 0 THEN 'buy' WHEN 1 THEN 'click' WHEN 2 THEN 'click'
                ELSE 'view' END AS name,
            TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds((hash(n, 4) % 2419200)::BIGINT) AS occurred_at,
            (hash(n, 5) % 10000)::DOUBLE / 100 AS value
            FROM range({events}) AS t(n)) TO '{folder}/events.parquet'""")


def _timed(records: Records, specs: list[MetricSpec]) -> tuple[list[float], list[Any]]:
    totals: list[Any] = []
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        totals = [totals_of(spec, records, now=NOW) for spec in specs]
        seconds.append(time.perf_counter() - start)
    return seconds[1:], totals


def _check_equal(name: str, first: list[Any], totals: list[Any]) -> None:
    for (ours,), (theirs,) in zip(first, totals, strict=True):
        for variant, one in ours.items():
            other = theirs[variant]
            if isinstance(one, Sketch):
                same = one == other
            else:
                pairs = zip(asdict(one).values(), asdict(other).values(), strict=True)
                same = all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in pairs)
            if not same:
                raise SystemExit(f"{name}: {other}, must be {one}.")


def _duckdb(folder: Path) -> Records:
    return open_parquet(*(str(folder / f"{name}.parquet") for name in NAMES))


def _clickhouse(folder: Path) -> Records:
    import ibis

    url = f"clickhouse://localhost/default?interface=chdb&path={folder}/clickhouse"
    engine = ibis.connect(url)
    for name in NAMES:
        engine.con.command(
            f"CREATE TABLE {name} ENGINE=MergeTree ORDER BY tuple() AS "
            f"SELECT * FROM file('{folder}/{name}.parquet')"
        )
    engine.con.close()
    return open_tables(url, *NAMES)


def _spark(folder: Path) -> Records:
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.master": "local[*]", "spark.driver.memory": "4g", "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)), "spark.log.level": "ERROR",
    }  # fmt: skip
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    for name in NAMES:
        session.read.parquet(f"{folder}/{name}.parquet").createOrReplaceTempView(name)
    return open_tables("pyspark://", *NAMES)


def _postgres(folder: Path) -> Records:
    import ibis
    from django.db import connection

    database = connection.settings_dict
    with duckdb.connect() as rows, connection.cursor() as cursor:
        for name in NAMES:
            file = folder / f"{name}.csv"
            rows.execute(f"COPY (SELECT * FROM '{folder}/{name}.parquet') TO '{file}' (HEADER false)")
            columns = (
                "variant text, exposed_at timestamptz"
                if name == "exposures"
                else "name text, occurred_at timestamptz, value float8"
            )
            cursor.execute(f"CREATE TABLE bench_{name} (unit_id text, {columns})")
            with (
                cursor.copy(f"COPY bench_{name} FROM STDIN (FORMAT csv)") as copy,
                file.open("rb") as stream,
            ):
                while chunk := stream.read(1 << 20):
                    copy.write(chunk)
            cursor.execute(f"ANALYZE bench_{name}")
    engine = ibis.postgres.connect(
        host=str(database["HOST"]), port=database["PORT"] or 5432,
        user=database["USER"], password=database["PASSWORD"], database=database["NAME"],
    )  # fmt: skip
    return Records(*(engine.table(f"bench_{name}") for name in NAMES), engine="postgres")
