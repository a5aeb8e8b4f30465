"""Destroy the frozen training data that holds a unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.utils import timezone

from inference.models import Snapshot
from inference.training.snapshot import holds_any, snapshot_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def destroy_snapshots(*, project_id: int, unit_ids: Sequence[str], folder: Path) -> int:
    """Delete each file that holds one of the units and leave a tombstone; return how many.

    Args:
        project_id: whose snapshots are searched.
        unit_ids: the units.
        folder: where snapshots are.
    """
    destroyed = 0
    now = timezone.now()
    snapshots = Snapshot.objects.filter(surface__project=project_id, destroyed_at__isnull=True)
    for digest in set(snapshots.values_list("sha256", flat=True)):
        file = snapshot_file(folder, digest)
        if not file.exists() or not holds_any(file, unit_ids):
            continue
        tombstone = {"sha256": digest, "destroyed_at": now.isoformat(), "reason": "a unit was erased"}
        # The tombstone first: a process that dies here has said what it was about to delete.
        file.with_suffix(".tombstone.json").write_text(json.dumps(tombstone), encoding="utf-8")
        file.unlink()
        # The file may be another surface's too: its name is the hash of its content.
        Snapshot.objects.filter(sha256=digest).update(destroyed_at=now)
        destroyed += 1
    return destroyed
