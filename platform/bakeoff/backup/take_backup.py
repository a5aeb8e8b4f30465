"""Take a backup of a platform that serves.

Guarantees: the rows are those of one moment, and every artifact that they name is there; commits that
waited for PostgreSQL at that moment are in it, in the dump or beside it; a backup that is cut off has
no manifest, and is not taken for one. Nothing is locked: requests, looks and trainings go on.
"""

from __future__ import annotations

import base64
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import orjson
import psycopg
import redis

from bakeoff import __version__
from bakeoff.backup.manifest import (
    ARCHIVE,
    DUMP,
    FOLDERS,
    SECRET_KEY,
    SPILL,
    BackupError,
    Manifest,
    digest_of,
    files_of,
)
from bakeoff.backup.postgres_tools import dump
from bakeoff.known_settings import SECRETS, SETTINGS
from experiments.ingest.spill import STREAM
from inference.redis_clients import redis_client
from inference.serving.artifact import ArtifactError, check_artifact
from inference.serving.remote_store import RemoteStoreError, remote_of
from inference.training.snapshot_files import FOLDER as SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bakeoff.environment import Environment
    from inference.serving.remote_store import RemoteStore

# What a restore is judged by: a lost row would show here.
COUNTED = (
    "accounts_project",
    "experiments_event",
    "experiments_slate",
    "experiments_exposure",
    "experiments_feedback",
    "experiments_experiment",
    "experiments_look",
    "experiments_decision",
    "experiments_archivedmonth",
    "inference_item",
    "inference_modelversion",
)


_ARTIFACTS = "SELECT DISTINCT artifact_sha256 FROM inference_modelversion WHERE artifact_sha256 <> ''"


def take_backup(environment: Environment, folder: Path, *, tools: Path | None = None) -> Manifest:
    """Write a backup into a new folder.

    Args:
        environment: of the platform.
        folder: that is made; it must not exist, or be empty.
        tools: folder of `pg_dump`; None: the bundled one.

    Raises:
        BackupError: the folder holds something, cannot be written, or PostgreSQL or Redis do not
            answer; what was written so far is removed.
    """
    with _new_folder(folder) as draft:
        # Before the rows' moment: what is drained meanwhile is in both, and counts once.
        spilled = _write_spill(environment, draft)
        _copy_home(environment, draft)
        counts, server, taken_at = _dump(environment, draft, tools)
        _fetch_artifacts(environment)
        _fetch_snapshots(environment, draft)
        # Again: a version that came between the first copy and the rows' moment.
        _copy_home(environment, draft)
        _drop_cleaned(environment, draft)
        _copy_archive(environment, draft)
        _check_artifacts(draft)
        manifest = Manifest(
            version=__version__,
            server=server,
            taken_at=taken_at,
            counts=counts,
            spilled=spilled,
            settings=_settings(),
            files={str(path.relative_to(draft)): digest_of(path) for path in files_of(draft)},
        )
        manifest.write(draft)
    return manifest


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Make a draft beside the folder, and move it there when the block is done."""
    draft = folder.with_name(f".{folder.name}.unfinished")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BackupError(f"{folder} exists and is not empty: name a new folder.")
        shutil.rmtree(draft, ignore_errors=True)  # of a backup that was cut off
        draft.mkdir(parents=True, mode=0o700)
        yield draft
        for path in (*files_of(draft), draft):
            _sync(path)
        with suppress(FileNotFoundError):
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_spill(environment: Environment, draft: Path) -> int:
    """Write what waits for PostgreSQL, an entry per line; return how many."""
    try:
        with redis_client(environment.redis_url, socket_timeout=60) as client:
            entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(STREAM))
    except (redis.RedisError, OSError) as error:
        raise BackupError(f"Redis does not answer: {error}.") from error
    with (draft / SPILL).open("wb") as file:
        for _, fields in entries:
            line = {name.decode(): base64.b64encode(value).decode() for name, value in fields.items()}
            file.write(orjson.dumps(line) + b"\n")
    return len(entries)


def _copy_home(environment: Environment, draft: Path) -> None:
    """Copy what is not there yet; files of a store never change, they come and go."""
    for name in FOLDERS:
        (draft / name).mkdir(exist_ok=True)
        for path in files_of(environment.home / name):
            target = draft / name / path.relative_to(environment.home / name)
            # What is being written has a name that begins with a dot until it is whole.
            if target.exists() or any(part.startswith(".") for part in target.relative_to(draft).parts):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # cleaned meanwhile: no row names it
                shutil.copyfile(path, target)
    with suppress(FileNotFoundError):
        shutil.copyfile(environment.home / SECRET_KEY, draft / SECRET_KEY)


def _copy_archive(environment: Environment, draft: Path) -> None:
    """Copy the archive of the home, after the rows' moment: a file that is newer than its row is known.

    One that is elsewhere stays there: it is kept as long, and is as large, as nothing else is.
    """
    source = environment.home / ARCHIVE
    if environment.archive != str(source):
        return
    for path in files_of(source):
        if path.name.startswith("."):  # being written
            continue
        target = draft / ARCHIVE / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its retention ended meanwhile
            shutil.copyfile(path, target)


def _fetch_artifacts(environment: Environment) -> None:
    """Bring what an object store holds into the home: a backup needs nothing beside itself.

    Raises:
        BackupError: the store denies, or does not answer.
    """
    if (remote := remote_of(environment.artifacts)) is None:
        return
    try:
        digests = remote.digests()
    except RemoteStoreError as error:
        raise BackupError(f"artifacts cannot be read: {error}") from error
    for digest in digests:
        # One that is cleaned away meanwhile is no loss; `_check_artifacts` misses what a row names.
        with suppress(ArtifactError):
            check_artifact(environment.artifacts, digest)


def _fetch_snapshots(environment: Environment, draft: Path) -> None:
    """Copy the training data of an object store; it goes into no home, where no erasure would reach it.

    Raises:
        BackupError: the store denies, or does not answer.
    """
    if (remote := remote_of(environment.snapshots)) is None:
        return
    try:
        for key, _modified_at in remote.files(SNAPSHOTS):
            _fetch_snapshot(remote, key, draft / key)
    except RemoteStoreError as error:
        raise BackupError(f"snapshots cannot be read: {error}") from error


def _fetch_snapshot(remote: RemoteStore, key: str, target: Path) -> None:
    """Copy one; of one that is destroyed meanwhile nothing stays."""
    try:
        remote.fetch_file(key, target)
    except FileNotFoundError:
        return
    except RemoteStoreError:
        if remote.size_of(key) is not None:
            raise
        target.unlink(missing_ok=True)  # its parts until then


def _drop_cleaned(environment: Environment, draft: Path) -> None:
    """Drop artifacts that were cleaned away meanwhile: their copies may lack files."""
    for copy in (draft / "artifacts").iterdir():
        if copy.is_dir() and not (environment.artifacts / copy.name).exists():
            shutil.rmtree(copy)


def _dump(environment: Environment, draft: Path, tools: Path | None) -> tuple[dict[str, int], int, str]:
    """Dump the rows of one moment; return their counts, the server's version and the moment."""
    try:
        with psycopg.connect(environment.database_url, connect_timeout=10) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            row: Any = connection.execute("SELECT pg_export_snapshot(), now()").fetchone()
            dump(environment.database_url, row[0], draft / DUMP, tools)
            counts = {table: _count(connection, table) for table in COUNTED}
            digests = connection.execute(_ARTIFACTS).fetchall()
            (draft / "artifacts.txt").write_text("".join(f"{digest}\n" for (digest,) in digests))
            return counts, connection.info.server_version, row[1].isoformat()
    except psycopg.errors.UndefinedTable as error:
        raise BackupError("The database holds no tables: there is nothing to back up.") from error
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL does not answer: {' '.join(str(error).split())}.") from error


def _count(connection: psycopg.Connection, table: str) -> int:
    row: Any = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  a constant
    return int(row[0])


def _check_artifacts(draft: Path) -> None:
    """Refuse a backup whose rows name artifacts that the home does not have.

    Raises:
        BackupError: some are missing.
    """
    named = (draft / "artifacts.txt").read_text().split()
    missing = [digest for digest in named if not (draft / "artifacts" / digest).is_dir()]
    if missing:
        raise BackupError(
            f"artifacts missing in the home == {len(missing)} of {len(named)}, must be 0: "
            "`bakeoff artifacts` names them."
        )


def _settings() -> dict[str, str]:
    """Return the settings of this process that are no secrets."""
    return {name: os.environ[name] for name in SETTINGS if name not in SECRETS and os.environ.get(name)}
