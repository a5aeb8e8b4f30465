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

from inference.serving.remote_store import CHUNK, remote_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import BinaryIO

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
        remote.put_file(f"{FOLDER}/{tombstone.name}", tombstone)
        tombstone.unlink(missing_ok=True)
    files = list(folder.glob(f"*{SUFFIX}"))
    for file in files:
        # One that was destroyed in the store meanwhile does not come back.
        if remote.size_of(_key(file.stem, TOMBSTONE)) is None:
            remote.put_file(f"{FOLDER}/{file.name}", file)
        file.unlink(missing_ok=True)
    return len(files)


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
        if file.stat().st_mtime < before and not is_named(file.stem):
            file.unlink(missing_ok=True)
            deleted += 1
    if (remote := remote_of(folder)) is None:
        return deleted
    for key, modified_at in remote.files(FOLDER):
        digest = key.rpartition("/")[2].removesuffix(SUFFIX)
        if key.endswith(SUFFIX) and modified_at < before and not is_named(digest):
            remote.delete_file(key)
            deleted += 1
    return deleted


def _key(digest: str, suffix: str = SUFFIX) -> str:
    return f"{FOLDER}/{digest}{suffix}"
