"""How fast a platform's database is written to a folder, and made again of it.

    python -m benchmarks --only backup

MB are those of the database on the disk, indexes included. Peer: PostgreSQL's own programs alone, with the
same options, which neither count rows nor check hashes. Limit of a backup: the same database's files copied
while its server is idle, each followed by a sync.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.results import Row, median_of, write_result
from benchmarks.servers import servers

EVENTS = {"full": 3_000_000, "small": 100_000}
REPEATS = {"full": 3, "small": 1}
MB = 1e6


def run(size: str, home: str) -> None:
    events, repeats = EVENTS[size], REPEATS[size]
    rates: dict[str, list[float]] = {}
    with servers(f"{home}/source"):
        megabytes = _fill(events) / MB
        for n in range(repeats):
            place = Path(home) / f"backup-{n}"
            timed = {
                "backup": lambda place=place: _bakeoff(f"{home}/source", "backup", str(place)),
                "pg_dump": lambda place=place: _pg_dump(place.with_suffix(".bare")),
                "copy": lambda: _copy(Path(home)),
                "restore": lambda n=n, place=place: _bakeoff(f"{home}/new-{n}", "restore", str(place)),
                "pg_restore": lambda n=n, place=place: _pg_restore(
                    f"bare_{n}", place.with_suffix(".bare")
                ),
            }
            for name, step in timed.items():
                began = time.monotonic()
                step()
                os.sync()
                rates.setdefault(name, []).append(megabytes / (time.monotonic() - began))
        packed = sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / MB
    medians = {name: median_of(values) for name, values in rates.items()}
    rows = [
        Row("`bakeoff backup` (peer: pg_dump)", medians["backup"][0], "MB/s", medians["pg_dump"][0],
            medians["copy"][0], "ratio_to_peer >= 0.8", spread=medians["backup"][1]),
        Row("`bakeoff restore` into an empty home (peer: pg_restore)", medians["restore"][0], "MB/s",
            medians["pg_restore"][0], None, "ratio_to_peer >= 0.7", spread=medians["restore"][1]),
        Row("size of the backup (peer: the database)", packed, "MB", megabytes, higher_is_better=False),
    ]  # fmt: skip
    notes = (
        f"{events:,} events, {megabytes:,.0f} MB on the disk. A restore starts the bundled server of the new home "
        "and stops it; the peer restores into the server that runs."
    )
    write_result("backup", size, rows, notes)


def _fill(events: int) -> int:
    """Return the bytes of a database with so many events."""
    from django.db import connection

    from benchmarks.freshness import EVENTS_OF_UNITS
    from tests.support.builders import make_project

    project = make_project()
    with connection.cursor() as cursor:
        cursor.execute(EVENTS_OF_UNITS, [project.pk, events, max(events // 20, 1), "b"])
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _bakeoff(home: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "bakeoff", *arguments]
    variables = {**os.environ, "BAKEOFF_HOME": home}
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)


def _pg_dump(to: Path) -> None:
    _tool("pg_dump", "--format=custom", f"--file={to}", f"--dbname={_url()}")


def _pg_restore(database: str, source: Path) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database}")
    other = _url().replace("///bakeoff?", f"///{database}?")
    _tool("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={other}", str(source))


def _tool(program: str, *arguments: str) -> None:
    from bakeoff.embedded.postgres import BINARIES

    subprocess.run([str(BINARIES / program), *arguments], check=True)


def _url() -> str:
    from bakeoff.environment import read_environment

    return read_environment().database_url


def _copy(home: Path) -> None:
    """Copy the files of the database, and of nothing else of the cluster."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
        folder = home / "source" / "postgres" / "base" / str(cursor.fetchone()[0])
    shutil.rmtree(home / "copy", ignore_errors=True)
    shutil.copytree(folder, home / "copy")
