"""A folder that Parquet files are put into: the one kind of place that an export writes to so far.

Another kind, such as a bucket, is a class with the same `put`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa


class FileStore(Protocol):
    """Takes files, each whole or not at all; one of the same name is replaced."""

    def put(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Write rows as one Parquet file; none, where there are no rows; return how many there are."""


@dataclass(frozen=True, slots=True)
class ParquetFolder:
    """A folder of this machine, or one that it mounts.

    Attributes:
        root: the folder; those of names are made below it.
    """

    root: Path

    def put(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """Write a file beside its place, sync it, and rename it: a reader sees no half of one."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        new, rows = target.with_name(f".{target.name}.{os.getpid()}"), 0
        try:
            with new.open("wb") as file:
                with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                    for batch in batches:
                        writer.write_batch(batch)
                        rows += batch.num_rows
                file.flush()
                os.fsync(file.fileno())
            if rows:
                new.rename(target)
        finally:
            new.unlink(missing_ok=True)
        return rows
