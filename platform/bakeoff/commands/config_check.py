"""`bakeoff config check`: what is wrong with the settings, one sentence each, before a start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.config_check_outside import faults_outside, line_of
from bakeoff.commands.terminal import echo
from bakeoff.database_address import unreadable
from bakeoff.environment import SettingError, read_environment
from bakeoff.known_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.environment import Environment

CONNECT_SECONDS = 5
OLDEST_POSTGRES = 15


@click.command()
@click.option("--no-connect", is_flag=True, help="Look at the settings alone, and ask no server.")
def check(no_connect: bool) -> None:  # noqa: FBT001  click passes it so
    """Say what is wrong with the settings, one sentence each; exit status 1 if anything is.

    A sentence that begins with "Warning" changes no exit status.
    """
    faults = list(unknown_settings(os.environ))
    warnings: list[str] = []
    try:
        environment = read_environment()
    except SettingError as error:
        faults.append(str(error))
    else:
        warnings += _warnings_of_rates(environment)
        faults += _faults_of_files(environment)
        faults += [] if no_connect else _faults_of_servers(environment)
    for line in (*warnings, *faults):
        echo(line)
    if faults:
        raise SystemExit(1)
    echo("The settings are right." if no_connect else "The settings are right, and the servers answer.")


def _warnings_of_rates(environment: Environment) -> Iterator[str]:
    """Name a rate of projects that one address with a public key, which anybody may read, uses up."""
    project, address = environment.rates["project"], environment.rates["address"]
    if project and not 0 < address < project:
        yield (
            f"Warning: BAKEOFF_PROJECT_RATE == {project}, should be above BAKEOFF_ADDRESS_RATE "
            f"({address or 'no limit'}): one address uses up what all keys of a project may send."
        )


def _faults_of_files(environment: Environment) -> Iterator[str]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    from inference.providers import providers_problem

    urls = {"DATABASE_URL": environment.database_url, "DATABASE_REPLICA_URL": environment.replica_url}
    for name, url in urls.items():
        try:
            conninfo_to_dict(url)
        except ProgrammingError:  # its own message would show the password
            yield f"{unreadable(name)}."
    if problem := providers_problem():
        yield f"BAKEOFF_PROVIDERS: {problem}"


def _faults_of_servers(environment: Environment) -> Iterator[str]:
    """Ask the servers that `bakeoff up` does not start itself."""
    if not environment.bundled_postgres:
        yield from _faults_of_postgres(environment)
    if environment.replica_url:
        yield from _faults_of_replica(environment)
    if not environment.bundled_valkey:
        yield from _faults_of_redis(environment)
    yield from _faults_of_broker(environment)
    yield from _faults_of_artifacts(environment)
    yield from _faults_of_archive(environment)
    yield from faults_outside(environment)


def _faults_of_postgres(environment: Environment) -> Iterator[str]:
    import psycopg

    from bakeoff.fail_over import fail_over_risk
    from bakeoff.schema_version import WrongSchemaError, check_schema
    from inference.serving.store import ForeignStoreError, check_store

    try:
        with psycopg.connect(environment.database_url, connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version // 10_000
            risk = fail_over_risk(connection, environment.database_url)
    except psycopg.ProgrammingError:
        return  # named above
    except psycopg.Error as error:
        yield f"DATABASE_URL: {line_of(error)}."
        return
    if version < OLDEST_POSTGRES:
        yield f"DATABASE_URL: PostgreSQL == {version}, must be {OLDEST_POSTGRES} or later."
    if risk:
        yield f"DATABASE_URL: {risk}"
    try:
        check_schema(environment.database_url)
        check_store(environment.database_url, environment.artifacts, claim=False)
    except (WrongSchemaError, ForeignStoreError) as error:
        yield str(error)


def _faults_of_replica(environment: Environment) -> Iterator[str]:
    """Ask the replica for a table of ours: reports would do without it, and nobody would know."""
    import psycopg

    try:
        with psycopg.connect(environment.replica_url, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute("SELECT to_regclass('experiments_event') IS NULL").fetchone()
            if row is None or row[0]:
                yield "DATABASE_REPLICA_URL: it holds no tables, must be a replica of DATABASE_URL."
    except psycopg.ProgrammingError:
        return  # named above
    except psycopg.Error as error:
        yield f"DATABASE_REPLICA_URL: {line_of(error)}."


def _faults_of_redis(environment: Environment) -> Iterator[str]:
    import redis

    from experiments.ingest.spill import why_unfit
    from inference.redis_clients import redis_client

    try:
        with redis_client(
            environment.redis_url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS,
        ) as client:
            about: Any = client.info("everything")
            why = why_unfit(about)
    except (redis.RedisError, OSError, ValueError) as error:
        yield f"REDIS_URL: {line_of(error)}."
    else:
        if why:
            yield f"REDIS_URL: {why}"


def _faults_of_broker(environment: Environment) -> Iterator[str]:
    """Ask the broker, where it is a server of somebody else's."""
    if not os.environ.get("BROKER_URL"):
        return
    from kombu import Connection
    from kombu.exceptions import OperationalError

    from inference.sentinel_address import absence_in

    limits = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
        **environment.broker_options,
    }
    try:
        with Connection(
            environment.broker_url, transport_options=limits, ssl=dict(environment.broker_tls or {})
        ) as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
    except (OperationalError, OSError, ValueError) as error:
        # It writes out every connection to a sentinel.
        absence = absence_in(
            str(error),
            broker_url=environment.broker_url,
            group=environment.broker_options.get("master_name", ""),
        )
        yield f"BROKER_URL: {absence or line_of(error)}."


def _faults_of_artifacts(environment: Environment) -> Iterator[str]:
    """Write, read and delete an object of the object store."""
    from inference.serving.remote_store import RemoteStoreError, remote_of

    if (remote := remote_of(environment.artifacts)) is None:
        return
    try:
        remote.probe()
    except RemoteStoreError as error:
        yield f"BAKEOFF_ARTIFACTS: {error}"


def _faults_of_archive(environment: Environment) -> Iterator[str]:
    """Write, read and delete a file of the archive, where it is a place of its own."""
    if not os.environ.get("BAKEOFF_ARCHIVE"):
        return  # in the home, or in the store that was tried above
    from experiments.archive.place import ArchiveError, open_place

    try:
        open_place(environment.archive).probe()
    except ArchiveError as error:
        yield f"BAKEOFF_ARCHIVE: {error}"
