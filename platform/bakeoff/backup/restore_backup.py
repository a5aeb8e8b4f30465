"""Make a platform of a backup: in an empty home, or in an empty database of another PostgreSQL.

Guarantees: nothing is changed before every file of the backup was compared with its hash and the place
was found empty; the rows come in one transaction, so a restore that is cut off can be repeated; running
experiments count on, whatever ids the other cluster gives (`transaction_clock`).
"""

from __future__ import annotations

import base64
import shutil
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import orjson
import psycopg
import redis
from psycopg.sql import SQL, Identifier

from bakeoff.backup.manifest import (
    ARCHIVE,
    DUMP,
    FOLDERS,
    SECRET_KEY,
    SPILL,
    BackupError,
    Manifest,
    files_of,
)
from bakeoff.backup.postgres_tools import MIN_MAJOR, restore
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.migrate import migrate
from bakeoff.embedded.postgres import start_postgres
from bakeoff.embedded.valkey import start_valkey
from bakeoff.schema_version import WrongSchemaError
from experiments.archive.place import ID_FILE as ARCHIVE_ID
from experiments.archive.place import ArchiveError, open_place
from experiments.ingest.spill import STREAM
from inference.redis_clients import redis_client
from inference.serving.remote_store import RemoteStoreError, remote_of
from inference.serving.store import ID_FILE, read_store_id
from inference.training.snapshot_files import move_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bakeoff.embedded.processes import Child
    from bakeoff.environment import Environment

STOP_SECONDS = 60.0


def restore_backup(environment: Environment, folder: Path, *, tools: Path | None = None) -> Manifest:
    """Restore a backup, and bring its tables up to date.

    Args:
        environment: of the platform that is made; it must not run.
        folder: the backup.
        tools: folder of `pg_restore`; None: the bundled one.

    Raises:
        BackupError: the backup is damaged, or its place is not empty; nothing was changed.
    """
    manifest = Manifest.read(folder)
    manifest.check_files(folder)
    _check_home(environment, folder)
    try:
        with _servers(environment):
            server = _check_empty(environment)
            _copy_home(environment, folder)
            _upload_artifacts(environment)
            _put_archive(environment, folder)
            restore(environment.database_url, folder / DUMP, tools, server=server)
            _check_counts(environment, manifest)
            migrate(environment)
            _put_spill(environment, folder)
    except (StartError, WrongSchemaError) as error:
        raise BackupError(str(error).rstrip(".") + ".") from error
    except OSError as error:
        raise BackupError(
            f"{environment.home} cannot be written: {error.strerror or error}."
        ) from error
    return manifest


def _check_home(environment: Environment, folder: Path) -> None:
    """Refuse a home whose artifacts are another platform's.

    Raises:
        BackupError: they are.
    """
    mine, theirs = environment.artifacts / ID_FILE, folder / "artifacts" / ID_FILE
    if mine.exists() and (not theirs.exists() or mine.read_text() != theirs.read_text()):
        raise BackupError(
            f"{environment.artifacts} holds another platform's artifacts: restore into an empty home."
        )


@contextmanager
def _servers(environment: Environment) -> Iterator[None]:
    """Run the bundled servers for a block, where they are bundled; nobody else may use the home.

    Raises:
        StartError: the home is in use, or a server does not start.
    """
    starts: list[Callable[..., Child]] = [
        *([start_postgres] if environment.bundled_postgres else []),
        *([start_valkey] if environment.bundled_valkey else []),
    ]
    with ExitStack() as stack:
        stack.callback(prepare_home(environment).close)
        for start in starts:
            child = start(environment)
            stack.callback(partial(_stop, child))
        yield


def _stop(child: Child) -> None:
    child.request_stop()
    child.wait_or_kill(STOP_SECONDS)


def _check_empty(environment: Environment) -> int:
    """Refuse a database with tables, a PostgreSQL that is too old, and a cache that somebody uses.

    Returns:
        The server's version, as `server_version_num`.

    Raises:
        BackupError: that is so.
    """
    try:
        with psycopg.connect(environment.database_url, connect_timeout=10) as connection:
            row: Any = connection.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
            ).fetchone()
            server = connection.info.server_version
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL does not answer: {' '.join(str(error).split())}.") from error
    if row[0]:
        raise BackupError(f"tables in the database == {row[0]}, must be 0: restore into an empty one.")
    if server // 10_000 < MIN_MAJOR:
        raise BackupError(f"PostgreSQL == {server // 10_000}, must be {MIN_MAJOR} or later.")
    try:
        with redis_client(environment.redis_url, socket_timeout=10) as client:
            if waiting := client.xlen(STREAM):
                raise BackupError(
                    f"commits that wait in the cache == {waiting}, must be 0: they are another's."
                )
    except (redis.RedisError, OSError) as error:
        raise BackupError(f"Redis does not answer: {error}.") from error
    return int(server)


def _copy_home(environment: Environment, folder: Path) -> None:
    """Copy what is not there yet: the files of a store never change."""
    for name in FOLDERS:
        for path in files_of(folder / name):
            target = environment.home / name / path.relative_to(folder / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Under its name when it is whole: a restore that was cut off leaves no half a file.
            draft = target.with_name(f".{target.name}.restored")
            shutil.copyfile(path, draft)
            draft.replace(target)
    key = environment.home / SECRET_KEY
    if (folder / SECRET_KEY).exists() and not key.exists():
        key.touch(mode=0o600)
        shutil.copyfile(folder / SECRET_KEY, key)


def _put_archive(environment: Environment, folder: Path) -> None:
    """Put archived months where the archive is here, if the backup holds them.

    Raises:
        BackupError: it is another platform's, or cannot be written.
    """
    source = folder / ARCHIVE
    if not (source / ARCHIVE_ID).is_file():
        return
    place, mine = open_place(environment.archive), (source / ARCHIVE_ID).read_text()
    try:
        if place.claim(ARCHIVE_ID, mine) != mine:
            raise BackupError(
                f"{place.url} is another platform's archive: set BAKEOFF_ARCHIVE to a place of its own."
            )
        for path in files_of(source):
            if path.name != ARCHIVE_ID:
                place.put(str(path.relative_to(source)), path)
    except ArchiveError as error:
        raise BackupError(f"the archive cannot be restored: {error}") from error


def _upload_artifacts(environment: Environment) -> None:
    """Put the restored artifacts into the object store, where the home is its cache.

    Raises:
        BackupError: it is another platform's, denies, or does not answer.
    """
    if (remote := remote_of(environment.artifacts)) is None:
        return
    mine = read_store_id(environment.artifacts)
    try:
        theirs = remote.claim(ID_FILE, f"{mine}\n").strip()
        if theirs != str(mine):
            raise BackupError(
                f"{remote.url} holds another platform's artifacts: restore with a prefix of its own."
            )
        for path in environment.artifacts.iterdir():
            if (path / "manifest.json").is_file():
                remote.upload(path, path.name)
        move_snapshots(environment.snapshots)
    except RemoteStoreError as error:
        raise BackupError(f"artifacts cannot be stored: {error}") from error


def _check_counts(environment: Environment, manifest: Manifest) -> None:
    """Compare the rows with those of the backup's moment.

    Raises:
        BackupError: some are missing.
    """
    with psycopg.connect(environment.database_url) as connection:
        for table, count in manifest.counts.items():
            row: Any = connection.execute(
                SQL("SELECT count(*) FROM {}").format(Identifier(table))
            ).fetchone()
            if row[0] != count:
                raise BackupError(f"rows of {table} == {row[0]}, must be {count}.")


def _put_spill(environment: Environment, folder: Path) -> None:
    """Put back what waited for PostgreSQL; a worker drains it, what is there already counts once."""
    lines = (folder / SPILL).read_bytes().splitlines()
    with redis_client(environment.redis_url, socket_timeout=60) as client:
        for line in lines:
            entry = {name: base64.b64decode(value) for name, value in orjson.loads(line).items()}
            client.xadd(STREAM, cast("Any", entry))
