"""A backup in an object store: the files of its folder under a prefix, its manifest last.

Guarantees: without its manifest nothing there is taken for a backup, so an upload that was cut off is
none, and is written over by the next; nothing is written or deleted where other objects are; what is
downloaded is compared with its hashes as any backup is.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bakeoff.backup.manifest import NAME, BackupError, files_of
from bakeoff.backup.restore_backup import restore_backup
from bakeoff.backup.take_backup import take_backup
from inference.serving.remote_store import (
    RemoteStore,
    RemoteStoreError,
    StoreSettingError,
    parse_url,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.backup.manifest import Manifest
    from bakeoff.environment import Environment

# There while an upload goes on, and after one that was cut off.
UNFINISHED = "upload.unfinished"


def take_remote_backup(environment: Environment, url: str, *, tools: Path | None = None) -> Manifest:
    """Write a backup to an object store, by way of the home's disk.

    Args:
        environment: of the platform.
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`.
        tools: folder of `pg_dump`; None: the bundled one.

    Raises:
        BackupError: something is there already, the store denies, or the platform cannot be backed up.
    """
    store = _store(url)
    with _sentences():
        _check_free(store)
    with _folder(environment) as folder:
        manifest = take_backup(environment, folder, tools=tools)
        keys = {str(path.relative_to(folder)): path for path in files_of(folder)}
        manifest_file = keys.pop(NAME)
        with _sentences():
            _check_free(store)  # again: a backup takes its time
            store.put_file(UNFINISHED, b"")
            for key, path in keys.items():
                store.put_file(key, path)
            # Of an upload that was cut off: nothing would name them, and they hold personal data.
            for key, _ in store.files(""):
                if key not in keys and key != UNFINISHED:
                    store.delete_file(key)
            store.put_file(NAME, manifest_file)
            store.delete_file(UNFINISHED)
    return manifest


def _check_free(store: RemoteStore) -> None:
    """Refuse a place of a backup or of other objects; what an upload left that was cut off is ours.

    Raises:
        BackupError: something is there.
    """
    keys = {key for key, _ in store.files("")}
    if NAME in keys:
        raise BackupError(f"{store.url} holds a backup already: name a new prefix.")
    if keys and UNFINISHED not in keys:
        raise BackupError(f"{store.url} holds other objects ({len(keys)}): name a new prefix.")


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
            for key in _names(folder):
                _fetch(store, key, folder)
        return restore_backup(environment, folder, tools=tools)


def _names(folder: Path) -> list[str]:
    """Return the files that a manifest names; what else is wrong with it the restore says.

    Raises:
        BackupError: one is outside the backup.
    """
    try:
        names = list(orjson.loads((folder / NAME).read_bytes())["files"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []
    for name in names:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise BackupError(f"{NAME} names '{name}', must name files of the backup alone.")
    return names


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
    """Give the name of a new folder on the home's disk, which is gone after the block."""
    cache = environment.home / "cache"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent = Path(tempfile.mkdtemp(prefix="backup-", dir=cache))
    except OSError as error:
        raise BackupError(f"{cache} cannot be written: {error.strerror or error}.") from error
    try:
        yield parent / "backup"
    except OSError as error:
        raise BackupError(f"{parent} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(parent, ignore_errors=True)
