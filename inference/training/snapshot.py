"""Frozen training data: a Parquet file named by the hash of its content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Likes:
    """Liked items of units, in columns of equal length, ordered by (unit, time, item)."""

    unit_ids: Sequence[str]
    item_ids: Sequence[str]
    liked_at: Sequence[float]


@dataclass(frozen=True, slots=True)
class SplitData:
    """One unit after another, split by time within the unit.

    Attributes:
        item_ids: the catalogue.
        earlier: per unit, indices to learn from.
        later: per unit, indices held out; empty for a unit with too few.
    """

    item_ids: Sequence[str]
    earlier: list[NDArray[np.int64]]
    later: list[NDArray[np.int64]]


class SnapshotDestroyedError(Exception):
    """The data of a run is not there any more."""


def snapshot_file(folder: Path, digest: str) -> Path:
    """Return where a snapshot is."""
    return folder / f"{digest}.parquet"


def holds_any(file: Path, unit_ids: Sequence[str]) -> bool:
    """Whether a snapshot has a row of one of the units; reads that column alone, by row groups."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    wanted = pa.array(list(unit_ids), pa.string())
    batches = pq.ParquetFile(file).iter_batches(columns=["unit_id"])
    return any(pc.any(pc.is_in(batch["unit_id"], value_set=wanted)).as_py() for batch in batches)


def write_snapshot(folder: Path, likes: Likes) -> str:
    """Write likes and return the hash of their content, which is the file's name."""
    # Web processes import this module for its dataclasses; they have no use for pyarrow.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pa.table(
        {
            "unit_id": pa.array(likes.unit_ids, pa.string()),
            "item_id": pa.array(likes.item_ids, pa.string()),
            "liked_at": pa.array(likes.liked_at, pa.float64()),
        }
    )
    content = hashlib.sha256()
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                content.update(memoryview(buffer) if buffer is not None else b"")
    digest = content.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    target = snapshot_file(folder, digest)
    if not target.exists():
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        pq.write_table(table, name)
        Path(name).replace(target)
    return digest


def read_snapshot(folder: Path, digest: str) -> Likes:
    """Read likes back.

    Raises:
        SnapshotDestroyedError: the file is gone.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    file = snapshot_file(folder, digest)
    if not file.exists():
        raise SnapshotDestroyedError(
            f"snapshot {digest[:12]} is gone: a unit in it was erased, or its file was deleted. "
            "Train on a new one."
        )
    table = pq.read_table(file)
    return Likes(
        unit_ids=table["unit_id"].to_pylist(),
        item_ids=table["item_id"].to_pylist(),
        liked_at=table["liked_at"].to_pylist(),
    )


def split_by_time(
    likes: Likes, item_ids: Sequence[str], *, held_out: float = 0.2, least: int = 5
) -> SplitData:
    """Hold out each unit's last likes.

    Args:
        likes: ordered by unit and time.
        item_ids: the catalogue; likes of other items are left out.
        held_out: share of a unit's likes that is held out.
        least: units with fewer likes are only learnt from.
    """
    index = {item_id: i for i, item_id in enumerate(item_ids)}
    by_unit: dict[str, list[int]] = {}
    for unit, item in zip(likes.unit_ids, likes.item_ids, strict=True):
        if item not in index:
            continue
        items = by_unit.setdefault(unit, [])
        if index[item] not in items[-50:]:  # a like that was repeated at once says nothing new
            items.append(index[item])
    earlier, later = [], []
    for items in by_unit.values():
        cut = len(items) - max(1, int(len(items) * held_out)) if len(items) >= least else len(items)
        past = np.array(items[:cut], dtype=np.int64)
        earlier.append(past)
        # An item liked before is no discovery, and serving would not show it again.
        later.append(np.setdiff1d(np.array(items[cut:], dtype=np.int64), past))
    return SplitData(
        item_ids=item_ids,
        earlier=earlier,
        later=later,
    )
