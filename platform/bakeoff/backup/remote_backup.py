"""A backup in an object store: the files of its folder under a prefix, its manifest last.

Guarantees: without its manifest nothing there is taken for a backup. A prefix belongs to one upload,
and nothing is written or deleted where other objects are. What is downloaded is compared with its
hashes, as any backup is.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from bakeoff.backup.manifest import NAME, BackupError, Manifest, files_of
from bakeoff.backup.restore_backup import restore_backup
from bakeoff.backup.take_backup import take_backup
from inference.serving.remote_store import (
    RemoteStore,
    RemoteStoreError,
    StoreSettingError,
    parse_url,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from bakeoff.environment import Environment

# There while an upload goes on, and after one that was cut off.
UNFINISHED = "upload.unfinished"


def take_remote_backup(environment: Environment, url: str, *, tools: Path | None = None) -> Manifest:
    """Write a backup to an object store, by way of the home's disk.

    Args:
        environment: of the platform.
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`; nothing may be there.
        tools: folder of `pg_dump`; None: the bundled one.

    Raises:
        BackupError: something is there, the store denies, or the platform cannot be backed up.
    """
    store = _store(url)
    with _sentences():
        _check_free(store, but=())
    with _folder(environment) as folder:
        manifest = take_backup(environment, folder, tools=tools)
        with _sentences():
            _upload(store, folder)
    return manifest


def _upload(store: RemoteStore, folder: Path) -> None:
    """Upload a backup's files, its manifest last; what failed leaves nothing.

    Raises:
        BackupError: something came there meanwhile.
        RemoteStoreError: the store denies, or does not answer.
    """
    token = uuid4().hex
    if store.claim(UNFINISHED, token) != token:
        raise BackupError(f"Another backup goes to {store.url}: name a new prefix.")
    keys: list[str] = []
    try:
        _check_free(store, but=(UNFINISHED,))  # again: the dump took its time
        for path in files_of(folder):
            if (key := str(path.relative_to(folder))) != NAME:
                keys.append(key)
                store.put_file(key, path)
        store.put_file(NAME, folder / NAME)
    except BaseException:
        with suppress(RemoteStoreError):  # the first failure is the one to tell
            for key in keys:
                store.delete_file(key)
        raise
    finally:
        with suppress(RemoteStoreError):
            store.delete_file(UNFINISHED)


def _check_free(store: RemoteStore, *, but: Collection[str]) -> None:
    """Refuse a prefix under which something is.

    Raises:
        BackupError: something is there.
    """
    keys = {key for key, _ in store.files("")}.difference(but)
    if keys:
        what = (
            "a backup"
            if NAME in keys
            else "an upload that was cut off"
            if UNFINISHED in keys
            else "other objects"
        )
        raise BackupError(f"{store.url} holds {what} already: name a new prefix.")


def restore_remote_backup(environment: Environment, url: str, *, tools: Path | None = None) -> Manifest:
    """Restore a backup of an object store, by way of the home's disk.

    Args:
        environment: of the platform that is made; it must not run.
        url: of the backup.
        tools: folder of `pg_restore`; None: the bundled one.

    Raises:
        BackupError: there is none, it is damaged, or its place is not empty; nothing was changed.
    """
    store = _store(url)
    with _folder(environment) as folder:
        folder.mkdir(mode=0o700)
        with _sentences():
            _fetch(store, NAME, folder)
            for key in Manifest.read(folder).files:
                if not (folder / key).resolve().is_relative_to(folder.resolve()):
                    raise BackupError(f"{NAME} names '{key}', must name files of the backup alone.")
                _fetch(store, key, folder)
        return restore_backup(environment, folder, tools=tools)


def _fetch(store: RemoteStore, key: str, folder: Path) -> None:
    file = folder / key
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        store.fetch_file(key, file)
    except FileNotFoundError as error:
        why = "it is no backup, or one that was cut off" if key == NAME else "the backup is not whole"
        raise BackupError(f"{store.url} has no {key}: {why}.") from error


def _store(url: str) -> RemoteStore:
    try:
        return RemoteStore(parse_url(url, "The place of a backup"))
    except StoreSettingError as error:
        raise BackupError(str(error)) from error


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except RemoteStoreError as error:
        raise BackupError(str(error)) from error


@contextmanager
def _folder(environment: Environment) -> Iterator[Path]:
    """Give the name of a new folder on the home's disk, which is gone after the block.

    One name, under a lock: what a call that was killed left is removed by the next.
    """
    parent = environment.home / "cache" / "backup"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (parent / "lock").open("w") as lock:
            _take_lock(lock, environment)
            folder = parent / "files"
            shutil.rmtree(folder, ignore_errors=True)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise BackupError(f"{parent} cannot be written: {error.strerror or error}.") from error


def _take_lock(lock: IO[str], environment: Environment) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(
            f"Another backup or restore of an object store uses home {environment.home}: wait for it."
        ) from None
