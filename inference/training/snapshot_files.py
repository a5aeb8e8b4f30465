"""Where snapshots are: a folder of this machine, or the object store of the artifacts.

Guarantees: a snapshot in an object store is on no machine's disk, in no cache. So an erasure that
deletes it there leaves no copy on a machine that is off. Who trains reads it from the store, and
compares it with its hash. A snapshot that is destroyed leaves its tombstone first.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from inference.serving.remote_store import CHUNK, RemoteStoreError, remote_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import BinaryIO

    from inference.serving.remote_store import RemoteStore

FOLDER = "snapshots"  # in the object store
SUFFIX, TOMBSTONE = ".parquet", ".tombstone.json"


def snapshot_file(folder: Path, digest: str) -> Path:
    """Return where a snapshot is on this machine, if it is here."""
    return folder / f"{digest}{SUFFIX}"


def put_snapshot(folder: Path, digest: str, content: memoryview) -> None:
    """Store a snapshot, whole, or not at all; one that is there is new again for the clean-up.

    Args:
        folder: of this machine.
        digest: of its rows.
        content: of the file.

    Raises:
        OSError: the folder cannot be written; nothing of it is left there.
        RemoteStoreError: the object store denies, or does not answer.
    """
    if (remote := remote_of(folder)) is not None:
        remote.put_file(_key(digest), bytes(content))
        return
    folder.mkdir(parents=True, exist_ok=True)
    target = snapshot_file(folder, digest)
    if target.exists():
        os.utime(target)
        return
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        os.close(handle)
        Path(name).write_bytes(content)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)  # half a snapshot on a full disk would keep it full


def open_snapshot(folder: Path, digest: str) -> BinaryIO:
    """Open a snapshot to read it; of one in an object store what is read is downloaded.

    Raises:
        FileNotFoundError: it was destroyed, or deleted.
        RemoteStoreError: the object store denies, or does not answer; also of the reads that follow.
    """
    if (remote := remote_of(folder)) is not None:
        with suppress(FileNotFoundError):
            return io.BufferedReader(remote.open_file(_key(digest)), CHUNK)
        # One of before the store was set is here until it is moved, unless it was destroyed since.
        if remote.size_of(_key(digest, TOMBSTONE)) is not None:
            raise FileNotFoundError(digest)
    return snapshot_file(folder, digest).open("rb")


def has_tombstone(folder: Path, digest: str) -> bool:
    """Whether a snapshot was destroyed, here or in the object store.

    Raises:
        RemoteStoreError: the object store denies, or does not answer.
    """
    if snapshot_file(folder, digest).with_suffix(TOMBSTONE).exists():
        return True
    remote = remote_of(folder)
    return remote is not None and remote.size_of(_key(digest, TOMBSTONE)) is not None


def destroy_snapshot(folder: Path, digest: str, *, destroyed_at: datetime) -> None:
    """Delete a snapshot wherever it is and leave a tombstone there.

    Raises:
        RemoteStoreError: the object store denies, or does not answer.
    """
    about = {"sha256": digest, "destroyed_at": destroyed_at.isoformat(), "reason": "a unit was erased"}
    text = json.dumps(about)
    # The tombstone first: a process that dies here has said what it was about to delete.
    if (remote := remote_of(folder)) is not None:
        remote.put_file(_key(digest, TOMBSTONE), text.encode())
        remote.delete_file(_key(digest))
    if (file := snapshot_file(folder, digest)).exists():
        file.with_suffix(TOMBSTONE).write_text(text, encoding="utf-8")
        file.unlink()


def move_snapshots(folder: Path) -> int:
    """Move what is in the folder to the object store, if there is one; return how many snapshots.

    Raises:
        RemoteStoreError: the object store denies, or does not answer.
    """
    if (remote := remote_of(folder)) is None:
        return 0
    for tombstone in list(folder.glob(f"*{TOMBSTONE}")):
        _move_file(remote, tombstone)
    return sum(_move_snapshot(remote, file) for file in list(folder.glob(f"*{SUFFIX}")))


def _move_snapshot(remote: RemoteStore, file: Path) -> bool:
    key, tombstone = _key(file.stem), _key(file.stem, TOMBSTONE)
    # One that was destroyed in the store meanwhile does not come back.
    if remote.size_of(tombstone) is not None:
        file.unlink(missing_ok=True)
        return True
    is_moved = _move_file(remote, file)
    # Again: an erasure that came between has deleted in the store before this file was there.
    if remote.size_of(tombstone) is not None:
        remote.delete_file(key)
    return is_moved


def _move_file(remote: RemoteStore, file: Path) -> bool:
    """Upload a file and delete it here; return whether it was still here."""
    try:
        remote.put_file(f"{FOLDER}/{file.name}", file)
    except RemoteStoreError:
        if file.exists():
            raise
        return False  # another clean-up, or an erasure, was first
    file.unlink(missing_ok=True)
    return True


def delete_old_snapshots(folder: Path, before: float, is_named: Callable[[str], bool]) -> int:
    """Delete the snapshots that nothing names and that came before a time; return how many.

    Args:
        folder: of this machine.
        before: seconds since 1970.
        is_named: whether a snapshot is needed, by its hash; called right before it is deleted.

    Raises:
        RemoteStoreError: the object store denies, or does not answer.
    """
    deleted = 0
    for file in list(folder.glob(f"*{SUFFIX}")):
        # Its time again, last: the same rows may have been frozen anew, and have no row yet.
        if _is_old(file, before) and not is_named(file.stem) and _is_old(file, before):
            file.unlink(missing_ok=True)
            deleted += 1
    if (remote := remote_of(folder)) is None:
        return deleted
    for key, modified_at in remote.files(FOLDER):
        digest = key.rpartition("/")[2].removesuffix(SUFFIX)
        if not key.endswith(SUFFIX) or modified_at >= before or is_named(digest):
            continue
        written_at = remote.modified_at(key)
        if written_at is not None and written_at < before:
            remote.delete_file(key)
            deleted += 1
    return deleted


def _is_old(file: Path, before: float) -> bool:
    try:
        return file.stat().st_mtime < before
    except FileNotFoundError:  # another clean-up moved or deleted it
        return False


def _key(digest: str, suffix: str = SUFFIX) -> str:
    return f"{FOLDER}/{digest}{suffix}"
