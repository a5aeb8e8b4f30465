"""Bring the database of a home up to date before anything works with it."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import redis

from bakeoff.embedded.schema_snapshot import load_snapshot
from bakeoff.schema_version import (
    CONNECT_SECONDS,
    WrongSchemaError,
    check_schema,
    compare_schema,
    migration_files,
    only_expands,
)
from inference.redis_clients import redis_client
from inference.serving.beats import read_beats
from inference.serving.heartbeats import read_heartbeats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bakeoff.environment import Environment

LOCK_NOT_AVAILABLE = "55P03"
LOCK_SECONDS = 2
PAUSE_SECONDS = 1.0
WAIT_SECONDS = 600.0  # longer than any reading of the platform's own
_KEY = 5_215_062_103  # of the lock: any number that no other lock on the database has


def migrate(environment: Environment) -> None:
    """Bring the tables up to date, and make the months that are missing.

    A database with none of our tables gets those of a snapshot first (decision 0081). Skipped when the
    bundled database has all of these migrations: it says so itself, since it may have been restored
    from an older dump.

    Raises:
        WrongSchemaError: a later version has worked on it, or another process is at it for too long.
    """
    stamp = environment.home / "migrated"
    wanted = _migrations_digest()
    if environment.bundled_postgres and _read(stamp) == f"{wanted} {_applied(environment)}":
        return
    import django  # noqa: PLC0415  a second start does not need it

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    django.setup()
    with _one_at_a_time(environment.database_url):
        check_schema(environment.database_url, may_be_older=True)
        load_snapshot()
        _apply_migrations()
        _prepare_tables()
    stamp.write_text(f"{wanted} {_applied(environment)}")


def _prepare_tables() -> None:
    """Make what depends on the day and on the cluster."""
    from django.db import connection, connections  # noqa: PLC0415

    from experiments.ingest.partitions import make_partitions  # noqa: PLC0415
    from experiments.metrics.transaction_clock import continue_clock  # noqa: PLC0415

    connection.ensure_connection()
    make_partitions(connection.connection, datetime.now(UTC).date())
    continue_clock()
    connections.close_all()


@contextmanager
def _one_at_a_time(database_url: str) -> Iterator[None]:
    """Hold every other process that would bring the database up to date, for the length of the block.

    In a transaction on a connection of its own: behind a pooler no other lock outlives a statement.

    Raises:
        WrongSchemaError: another process holds it for too long.
    """
    with closing(psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS)) as connection:
        connection.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS:.0f}s'")
        # It idles while migrations run elsewhere, and must not be ended for that.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        try:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])
        except psycopg.errors.LockNotAvailable:
            raise WrongSchemaError(
                f"Another process has been bringing the database up to date for {WAIT_SECONDS:.0f} s: "
                "start again when it has ended."
            ) from None
        yield


def refuse_beside_others(environment: Environment) -> None:
    """Leave a database alone on which older processes work that do not know the change.

    Raises:
        WrongSchemaError: there are such processes, or nobody can say.
        psycopg.OperationalError: the database is away.
    """
    difference = compare_schema(environment.database_url)
    if difference.is_empty_database or only_expands(difference.missing):
        return
    try:
        with redis_client(environment.redis_url, socket_connect_timeout=5, socket_timeout=10) as cache:
            beats = [last.beat.name for last in read_beats(cache) if not last.silent]
            live = [*read_heartbeats(cache), *beats]
    except (redis.RedisError, OSError) as error:
        if environment.bundled_valkey:
            return  # it runs as long as its platform does
        raise WrongSchemaError(
            "Redis does not answer, so nobody can say which processes run: stop them all, then "
            "`bakeoff migrate --offline`."
        ) from error
    # Whatever lives is of another version: none of this one starts before the migration.
    if live:
        raise WrongSchemaError(
            f"Stop what works on the database first, since it does not know the change: "
            f"{', '.join(live)}. One that was killed is forgotten after half a minute. Nothing was "
            "changed."
        )


def _apply_migrations() -> None:
    """Apply what is missing, beside processes that serve.

    Raises:
        django.db.OperationalError: a table was in use for too long, or the database went away.
    """
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import OperationalError, connection  # noqa: PLC0415

    until = time.monotonic() + WAIT_SECONDS
    while True:
        # A change that waits for a long reading holds up everybody who comes after it: it steps back
        # in time, and the migrations that were applied stay so.
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except OperationalError as error:
            locked = getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE
            if not locked or time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text()
    except OSError:
        return ""


def _applied(environment: Environment) -> str:
    """Return how many migrations the database has, the last one's number, and its cluster's."""
    with psycopg.connect(environment.database_url) as connection:
        try:
            row = connection.execute(
                """SELECT count(*), max(id), (SELECT system_identifier FROM pg_control_system())
                FROM django_migrations"""
            ).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            row = None
    return "none" if row is None else " ".join(str(one) for one in row)


def _migrations_digest() -> str:
    digest = hashlib.sha256()
    for _, path in migration_files():
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
