"""A scorecard of five metrics with covariates: from a million rows, and from totals, beside the peers."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks.peers.environment import peer_python
from benchmarks.results import Row, median_of, write_result

METRICS, REPEATS = 5, 5
REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"


def run(size: str, home: str) -> None:
    units = 1_000_000 if size == "full" else 50_000
    file = Path(home) / "rows.parquet"
    _write(file, units)
    peers = _peers(file)
    limit = _one_pass(file, home)
    card, from_rows = _measure_rows(file)
    estimate = card.last.result.comparisons[0].effect.estimate
    if abs(estimate / peers["estimate"][0] - 1) > 1e-6:
        raise SystemExit(f"ours == {estimate}, tea-tasting == {peers['estimate'][0]}: must agree.")
    from_totals = _measure_totals(card)
    versions = ", ".join(_requirements())
    write_result(
        "scorecard", size,
        [*_rows_beside(peers["rows"], from_rows, limit, units), *_totals_beside(peers["totals"], from_totals)],
        f"{METRICS} means, each with a covariate (CUPED), two variants; Parquet, two threads for everybody. "
        f"The peers' environment: {versions}. The first estimate agrees with tea-tasting's to 1e-6.",
        ("duckdb", "scipy"),
    )  # fmt: skip


def _measure_rows(file: Path):
    """Return the scorecard of a file, and the seconds that it takes with their spread."""
    from experiments.scorecards.scorecard import Question, judge
    from experiments.scorecards.unit_file import MetricColumn, UnitFile
    from experiments.scorecards.unit_reader import read_units
    from experiments.stats.policy import Policy

    columns = [MetricColumn(f"m{n}", "mean", f"y{n}", covariate=f"x{n}") for n in range(METRICS)]
    question = Question(Policy(rule="fixed", twyman_limit=0, minimum_run_seconds=0), "0", columns)

    def recompute():
        return judge(read_units(UnitFile(file, "variant", columns)), question)

    return recompute(), median_of([_time(recompute) for _ in range(REPEATS)])


def _measure_totals(card) -> tuple[float, str]:
    """Milliseconds from totals to p-values and intervals, with their spread."""
    from experiments.stats.effects import compare, critical_value

    totals = [card.file.looks[-1].summaries[f"m{n}"] for n in range(METRICS)]
    z, many = critical_value(0.05), 200

    def compute() -> None:
        for _ in range(many):
            for sides in totals:
                effect = compare("mean", sides["0"], sides["1"])
                _ = effect.p_value, effect.interval(z), effect.lift_interval(z)

    return median_of([_time(compute) / many * 1000 for _ in range(REPEATS)])


def _rows_beside(
    peers: dict[str, float], ours: tuple[float, str], limit: float, units: int
) -> Iterator[Row]:
    seconds, spread = ours
    for name, theirs in sorted(peers.items(), key=lambda pair: pair[1]):
        best = theirs == min(peers.values())
        yield Row(f"recompute from {units:,} rows, beside {name}", seconds, "s", theirs, limit,
                  "ratio_to_peer >= 5" if best else "", higher_is_better=False, spread=spread)  # fmt: skip
    yield Row("the same, beside one aggregate pass in PostgreSQL", seconds, "s", None, limit,
              "share_of_limit >= 0.5", higher_is_better=False, spread=spread)  # fmt: skip


def _totals_beside(peers: dict[str, float], ours: tuple[float, str]) -> Iterator[Row]:
    each, spread = ours
    for name, theirs in sorted(peers.items(), key=lambda pair: pair[1]):
        best = theirs == min(peers.values())
        yield Row(f"from totals, beside {name}", each, "ms", theirs * 1000, None,
                  "ratio_to_peer >= 20" if best else "", higher_is_better=False, spread=spread)  # fmt: skip
    yield Row(
        "from totals", each, "ms", None, None, "ours <= 0.2", higher_is_better=False, spread=spread
    )


def _time(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _write(file: Path, units: int) -> None:
    rng = np.random.default_rng(1)
    columns = {"variant": rng.integers(0, 2, units).astype(np.int64)}
    for n in range(METRICS):
        before = rng.gamma(2, 1, units)
        columns[f"x{n}"] = before
        columns[f"y{n}"] = 0.7 * before + rng.gamma(1, 1, units) + 0.01 * columns["variant"]
    parquet.write_table(pa.table(columns), file)


def _requirements() -> list[str]:
    lines = REQUIREMENTS.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _peers(file: Path) -> dict:
    python = peer_python("peers", _requirements())
    script = Path(__file__).parent / "peers" / "scorecard.py"
    done = subprocess.run(
        [str(python), "-W", "ignore", str(script), str(file), str(REPEATS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _one_pass(file: Path, home: str) -> float:
    """Seconds of one aggregate pass over the same rows in PostgreSQL."""
    os.environ["BAKEOFF_HOME"] = home
    import psycopg

    from bakeoff.embedded.supervisor import Platform
    from bakeoff.environment import read_environment

    platform = Platform(read_environment(), port=0)
    platform.start_servers()
    try:
        names = ["variant", *(f"{c}{n}" for n in range(METRICS) for c in "xy")]
        with psycopg.connect(read_environment().database_url, autocommit=True) as connection:
            connection.execute(
                f"CREATE TABLE rows (variant bigint, {', '.join(f'{name} float8' for name in names[1:])})"
            )
            table = parquet.read_table(file).select(names)
            with connection.cursor().copy(f"COPY rows ({', '.join(names)}) FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                    copy.write_row(row)
            connection.execute("VACUUM ANALYZE rows")
            sums = ", ".join(
                f"sum(y{n}), sum(y{n} * y{n}), sum(x{n}), sum(x{n} * x{n}), sum(y{n} * x{n})"
                for n in range(METRICS)
            )
            query = f"SELECT variant, count(*), {sums} FROM rows GROUP BY variant"
            seconds, _ = median_of(
                [_time(lambda: connection.execute(query).fetchall()) for _ in range(REPEATS)]
            )
    finally:
        platform.stop()
    return seconds
