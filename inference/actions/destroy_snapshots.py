"""Destroy the frozen training data that holds a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from inference.models import Snapshot
from inference.training.snapshot import holds_any
from inference.training.snapshot_files import destroy_snapshot, has_tombstone, open_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def destroy_snapshots(*, project_id: int, unit_ids: Sequence[str], folder: Path) -> int:
    """Delete each file that holds one of the units and leave a tombstone; return how many.

    Safe to run again after a failure: one that is gone already, but has its tombstone, counts.

    Args:
        project_id: whose snapshots are searched.
        unit_ids: the units.
        folder: where snapshots are.

    Raises:
        RemoteStoreError: the object store that has them denies, or does not answer.
    """
    destroyed = 0
    now = timezone.now()
    snapshots = Snapshot.objects.filter(surface__project=project_id, destroyed_at__isnull=True)
    # Sorted: two erasures at once lock the rows of snapshots that both hold in one order.
    for digest in sorted(set(snapshots.values_list("sha256", flat=True))):
        try:
            with open_snapshot(folder, digest) as file:
                is_held = holds_any(file, unit_ids)
        except FileNotFoundError:
            # Destroyed by an erasure whose rows were rolled back: what the row should say is lost.
            if not has_tombstone(folder, digest):
                continue
        else:
            if not is_held:
                continue
            destroy_snapshot(folder, digest, destroyed_at=now)
        # The file may be another surface's too: its name is the hash of its content.
        rows = Snapshot.objects.filter(sha256=digest, destroyed_at__isnull=True)
        destroyed += bool(rows.update(destroyed_at=now))  # else another erasure's, and counted there
    return destroyed
