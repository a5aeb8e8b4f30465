"""Move the bundled database of a home to another PostgreSQL, while the platform stands still.

Guarantees: the home's lock is held, so nothing writes meanwhile; the source is only read; the rows come
to the target in one transaction, so a move that is cut off leaves it empty, or whole and to be checked
again by a second call; every table is counted on both sides before the move is called done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import SQL, Identifier

from bakeoff.backup.manifest import BackupError
from bakeoff.backup.postgres_tools import MIN_MAJOR, dump, restore
from bakeoff.database_address import complete, unreadable
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.postgres import start_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bakeoff.environment import Environment

CONNECT_SECONDS, STOP_SECONDS = 10, 60.0
DRAFT = "moved.dump"
_TABLES = """SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.relname"""
_GO_ON = """
from bakeoff.embedded.migrate import migrate
from bakeoff.environment import read_environment
migrate(read_environment())
"""
_STORE = "SELECT store_id::text FROM inference_artifactstore"
# Any number: who holds it over one connection is seen over another one to the same database.
_KEY = 7_202_611_290_069


def move_database(
    environment: Environment, target_url: str, *, tools: Path | None = None
) -> Mapping[str, int]:
    """Copy all rows into an empty database; return the rows by table, equal on both sides.

    Args:
        environment: of the platform, which must not run.
        target_url: a libpq URL.
        tools: folder of `pg_dump` and `pg_restore`; None: the bundled ones.

    Raises:
        BackupError: the platform runs, the target is not fit, or something failed; the source is as it
            was, and the target empty or whole.
    """
    if not environment.bundled_postgres:
        raise BackupError(
            "DATABASE_URL is set: `bakeoff move` moves the bundled database. From one server to "
            "another, use `bakeoff backup` and `bakeoff restore`."
        )
    if not (environment.home / "postgres" / "PG_VERSION").exists():
        raise BackupError(f"{environment.home} has no database: there is nothing to move.")
    target = complete(target_url)
    try:
        with _source(environment) as source, _connect(target) as other:
            counts = _count(source)
            if not _is_moved(source, other, counts):
                _check_target(source, other)
                other.rollback()  # nothing that we hold may be in the way of the program
                _copy(environment, source, target, tools, server=other.info.server_version)
            _compare(counts, _count(other))
        _bring_up_to_date(target_url)
    except StartError as error:
        raise BackupError(str(error).rstrip(".") + ".") from error
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL: {' '.join(str(error).split()).rstrip('.')}.") from error
    except OSError as error:
        raise BackupError(
            f"{environment.home} cannot be written: {error.strerror or error}."
        ) from error
    return counts


@contextmanager
def _source(environment: Environment) -> Iterator[psycopg.Connection]:
    """Run the bundled server for a block; nobody else may use the home.

    Raises:
        StartError: the home is in use, or the server does not start.
    """
    with prepare_home(environment):
        server = start_postgres(environment)
        try:
            with psycopg.connect(environment.database_url) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                yield connection
        finally:
            server.request_stop()
            server.wait_or_kill(STOP_SECONDS)


def _connect(target: str) -> psycopg.Connection:
    """Connect to where the rows go.

    Raises:
        BackupError: it does not answer, or the URL is none; never shows its password.
    """
    try:
        return psycopg.connect(target, connect_timeout=CONNECT_SECONDS)
    except psycopg.ProgrammingError:
        reason = unreadable("--to")
    except psycopg.Error as error:
        reason = f"--to: {' '.join(str(error).split()).rstrip('.')}"
    # Not as the error's consequence: that would be taken for an outage of the platform's own server.
    raise BackupError(f"{reason}.")


def _check_target(source: psycopg.Connection, target: psycopg.Connection) -> None:
    """Refuse a target that is the source, is too old, is not empty, or lets us make no table.

    Raises:
        BackupError: that is so.
    """
    if _is_same_database(source, target):
        raise BackupError("--to is the database that is to be moved, must be another.")
    if (major := target.info.server_version // 10_000) < MIN_MAJOR:
        raise BackupError(f"--to: PostgreSQL == {major}, must be {MIN_MAJOR} or later.")
    if tables := len(_tables(target)):
        raise BackupError(f"--to: tables in the database == {tables}, must be 0: name an empty one.")
    right = "has_schema_privilege(current_schema(), 'CREATE')"
    row: Any = target.execute(f"SELECT current_user, coalesce({right}, false)").fetchone()
    if not row[1]:
        raise BackupError(
            f"--to: '{row[0]}' may make no tables: GRANT CREATE ON SCHEMA public TO {row[0]}."
        )


def _is_same_database(source: psycopg.Connection, target: psycopg.Connection) -> bool:
    # Addresses do not tell: one server has many. A lock is seen by who is in the same database.
    source.execute("SELECT pg_advisory_lock(%s)", [_KEY])
    try:
        row: Any = target.execute("SELECT pg_try_advisory_lock(%s)", [_KEY]).fetchone()
        if row[0]:
            target.execute("SELECT pg_advisory_unlock(%s)", [_KEY])
        return not row[0]
    finally:
        source.execute("SELECT pg_advisory_unlock(%s)", [_KEY])


def _is_moved(
    source: psycopg.Connection, target: psycopg.Connection, counts: Mapping[str, int]
) -> bool:
    """Whether an earlier call has copied everything, and was cut off before it said so."""
    tables = _tables(target)
    if _is_same_database(source, target) or set(tables) != counts.keys():
        return False
    same = source.execute(_STORE).fetchone() == target.execute(_STORE).fetchone()
    return same and _count(target) == counts


def _copy(
    environment: Environment,
    source: psycopg.Connection,
    target: str,
    tools: Path | None,
    *,
    server: int,
) -> None:
    file = environment.home / "cache" / DRAFT
    file.unlink(missing_ok=True)  # of a move that was cut off
    row: Any = source.execute(
        "SELECT pg_export_snapshot(), pg_database_size(current_database())"
    ).fetchone()
    if (free := shutil.disk_usage(file.parent).free) < row[1]:
        raise BackupError(
            f"Home {environment.home} has {free // 2**20} MiB free, a dump may need "
            f"{row[1] // 2**20} MiB: free some space."
        )
    try:
        file.touch(mode=0o600)
        dump(environment.database_url, row[0], file, tools)
        restore(target, file, tools, server=server)
    finally:
        file.unlink(missing_ok=True)


def _tables(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute(_TABLES).fetchall()]


def _count(connection: psycopg.Connection) -> dict[str, int]:
    counts = {}
    for table in _tables(connection):
        query = SQL("SELECT count(*) FROM {}").format(Identifier(table))
        row: Any = connection.execute(query).fetchone()
        counts[table] = int(row[0])
    return counts


def _compare(here: Mapping[str, int], there: Mapping[str, int]) -> None:
    """Compare both sides table by table.

    Raises:
        BackupError: some differ.
    """
    for table, count in here.items():
        if there.get(table) != count:
            raise BackupError(f"--to: rows of {table} == {there.get(table)}, must be {count}.")


def _bring_up_to_date(target_url: str) -> None:
    """Let the target go on: missing tables and months, and ids that are above those of the rows.

    In a process of its own, whose settings name the target.

    Raises:
        BackupError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _GO_ON], env=os.environ | {"DATABASE_URL": target_url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [str(done.returncode)]
        raise BackupError(f"--to: {lines[-1].rstrip('.')}.")
