"""Delete artifacts, snapshots and checkpoints that nothing needs any more.

Guarantees: what a version names stays, also as the model of its prompt or as the file that it was
imported from, and so does whatever was written or used again within a week, or since the oldest active
run began: a run saves its artifact before a version names it. A folder that is not this database's
store is left alone: no version here would name anything in it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.db.models import Min
from django.utils import timezone

from inference.models import ArtifactStore, ModelVersion, Snapshot, Surface, TrainingRun
from inference.serving.artifact import SHARED
from inference.serving.item_index import FOLDER as INDEXES
from inference.serving.models import IMPORTED
from inference.serving.remote_store import RemoteStoreError, remote_of
from inference.serving.store import read_store_id
from inference.training.snapshot_files import delete_old_snapshots, move_snapshots

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
GRACE = timedelta(days=7)
REMOVED = ".old-"  # a folder that is on its way out
UNFINISHED = ".new-"  # as `save_artifact` begins one


def clean_artifacts(*, artifacts: Path, checkpoints: Path, snapshots: Path) -> int:
    """Delete what nothing needs; return how many folders and files of artifacts that were.

    Args:
        artifacts: the store.
        checkpoints: folder of the runs' checkpoints.
        snapshots: folder of the training data.
    """
    before = _cutoff()
    _clean_checkpoints(checkpoints, before)
    try:
        _clean_snapshots(artifacts, snapshots, before)
        return _clean_store(artifacts, before)
    except RemoteStoreError as error:  # the next hour's clean-up goes on
        logger.warning("artifacts are not cleaned up: %s", error)
        return 0


def _clean_snapshots(artifacts: Path, snapshots: Path, before: float) -> None:
    """Move what is in the folder to the object store, and delete what no row names any more."""
    store = ArtifactStore.objects.first()
    if store is None or read_store_id(artifacts) != store.store_id:
        return
    moved = move_snapshots(snapshots)
    deleted = delete_old_snapshots(snapshots, before, _is_snapshot_named)
    if moved or deleted:
        logger.info("snapshots: %s moved to the object store, %s deleted", moved, deleted)


def _is_snapshot_named(digest: str) -> bool:
    return Snapshot.objects.filter(sha256=digest, destroyed_at__isnull=True).exists()


def _clean_store(artifacts: Path, before: float) -> int:
    store = ArtifactStore.objects.first()
    if store is None or read_store_id(artifacts) != store.store_id:
        return 0
    deleted = _settle_removed(artifacts, before)  # of a process that was killed between two steps
    names = [path.name for path in artifacts.iterdir() if path.is_dir() and _is_old(path, before)]
    unnamed = [name for name in names if len(name) == 64 and not _is_named(artifacts, name)]
    for name in unnamed:
        (artifacts / name).rename(artifacts / f"{REMOVED}{name}")
    deleted += _settle_removed(artifacts, before)
    for name in names:
        if name.startswith(UNFINISHED):
            shutil.rmtree(artifacts / name, ignore_errors=True)
    deleted += _clean_shared(artifacts / SHARED, before)
    deleted += _clean_remote(artifacts, before)
    _clean_indexes(artifacts)
    if deleted:
        logger.info("deleted %s artifacts and shared files that no version names", deleted)
    return deleted


def _cutoff() -> float:
    """Return the time before which something must have been touched last to be deleted."""
    active = TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE)
    oldest = active.aggregate(oldest=Min("queued_at"))["oldest"]
    grace = timezone.now() - GRACE
    return min(grace, oldest).timestamp() if oldest else grace.timestamp()


def _is_old(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False


def _is_named(artifacts: Path, digest: str) -> bool:
    """Whether an artifact is a version's, the file it was imported from, or what its prompt asks."""
    if ModelVersion.objects.filter(artifact_sha256=digest).exists():
        return True
    # A later challenger's gate fits the champion's recipe again: an imported one's file is read.
    imported = {"algorithm": IMPORTED, "params__upload": digest}
    if ModelVersion.objects.filter(**imported).exists():
        return True
    if TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE, **imported).exists():
        return True
    # Asked anew each time: a run may have registered its version since the last one.
    prompts = ModelVersion.objects.filter(surface__kind=Surface.Kind.GENERATE)
    return any(
        digest.encode() in _manifest(artifacts / prompt)
        for prompt in prompts.values_list("artifact_sha256", flat=True)
    )


def _manifest(folder: Path) -> bytes:
    """Return a manifest as it is: a hash stands in it only where it is meant."""
    with contextlib.suppress(OSError):
        return (folder / "manifest.json").read_bytes()
    if (remote := remote_of(folder.parent)) is not None:  # made on another machine
        return remote.read(f"artifacts/{folder.name}/manifest.json") or b""
    return b""


def _clean_remote(artifacts: Path, before: float) -> int:
    if (remote := remote_of(artifacts)) is None:
        return 0
    return remote.delete_old(before, partial(_is_named, artifacts))


def _settle_removed(artifacts: Path, before: float) -> int:
    """Delete folders that were renamed aside, or put them back; return how many were deleted.

    Looked at again after the rename: a run may have saved the same artifact, or a version named it,
    between the first look and that. `save_artifact` touches an artifact that is there already.
    """
    deleted = 0
    for aside in list(artifacts.glob(f"{REMOVED}*")):
        target = artifacts / aside.name.removeprefix(REMOVED)
        needed = not _is_old(aside, before) or _is_named(artifacts, target.name)
        if needed and not target.exists():
            aside.rename(target)
        else:
            shutil.rmtree(aside, ignore_errors=True)
            deleted += 1
    return deleted


def _clean_shared(shared: Path, before: float) -> int:
    """Delete shared files that are part of no artifact any more; the disk counts their links."""
    deleted = 0
    for path in list(shared.glob("*")):
        about = path.stat()
        # By the time of its last link. One that is linked meanwhile is only not shared any further.
        if about.st_nlink == 1 and about.st_ctime < before:
            path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def _clean_indexes(artifacts: Path) -> None:
    """Delete the indexes of artifacts that are gone; they can be made again."""
    for folder in list((artifacts / INDEXES).glob("*")):
        if not (artifacts / folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _clean_checkpoints(checkpoints: Path, before: float) -> None:
    active = TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).values_list("pk", flat=True)
    keep = {f"run-{pk}" for pk in active}
    for folder in list(checkpoints.glob("run-*")):
        if folder.name not in keep and _is_old(folder, before):
            shutil.rmtree(folder, ignore_errors=True)
