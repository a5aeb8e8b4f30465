"""Files of the archive: written, read back and compared before anything relies on them.

A file says of itself how many rows it has, their digest, and the digests of the files that it replaced:
a rewrite that was cut off between the file and its row is recognised by them, and a database that was
restored from an older backup knows a file that an erasure has rewritten since.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from experiments.archive.place import ArchiveError
from experiments.archive.rows import CHUNK, ContentDigest
from experiments.models import ArchivedMonth
from inference.serving.remote_store import RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from experiments.archive.place import ArchivePlace

ABOUT = b"bakeoff"  # key of the file's metadata


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file holds.

    Attributes:
        rows: how many.
        digest: of their values.
        replaced: digests of the files that it replaced, oldest first.
    """

    rows: int
    digest: str
    replaced: tuple[str, ...] = ()


@contextmanager
def scratch_file() -> Iterator[Path]:
    """Yield the name of a file of this machine that is gone afterwards.

    Raises:
        ArchiveError: the disk of temporary files is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bakeoff-archive-") as folder:
            yield Path(folder, "rows.parquet")
    except OSError as error:
        raise ArchiveError(
            f"temporary files cannot be written to {tempfile.gettempdir()}: {error.strerror or error}."
        ) from error


def write_rows(
    file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], replaced: tuple[str, ...] = ()
) -> FileContent:
    """Write a Parquet file.

    Args:
        file: where to.
        schema: of the rows.
        batches: the rows.
        replaced: digests of the files in whose place it comes.

    Raises:
        OSError: it cannot be written.
    """
    digest = ContentDigest(schema)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=CHUNK)
            digest.update(batch)
        content = FileContent(digest.rows, digest.hexdigest(), replaced)
        about = {"rows": content.rows, "digest": content.digest, "replaced": list(replaced)}
        writer.add_key_value_metadata({ABOUT: json.dumps(about).encode()})
    return content


def read_content(file: Path, name: str) -> FileContent:
    """Read a whole file and return what it holds; what it says of itself must be true.

    Raises:
        ArchiveError: it is cut, damaged, or none of ours.
    """
    try:
        with pq.ParquetFile(file) as parquet:
            digest = ContentDigest(parquet.schema_arrow.remove_metadata())
            for batch in parquet.iter_batches(batch_size=CHUNK):
                digest.update(batch)
            about = json.loads((parquet.metadata.metadata or {})[ABOUT])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ArchiveError(f"{name} is cut or damaged: {_line_of(error)}.") from error
    content = FileContent(digest.rows, digest.hexdigest(), tuple(about["replaced"]))
    if (about["rows"], about["digest"]) != (content.rows, content.digest):
        raise ArchiveError(f"{name} is damaged: its rows are not those that were written.")
    return content


def put_file(place: ArchivePlace, row: ArchivedMonth, file: Path, content: FileContent) -> None:
    """Store a file and compare what comes back with what was written.

    Raises:
        ArchiveError: it cannot be stored, or comes back otherwise.
    """
    place.put(row.name, file)
    with scratch_file() as copy:
        place.fetch(row.name, copy)
        if read_content(copy, row.name) != content:
            raise ArchiveError(f"{place.url}/{row.name} comes back otherwise than it was written.")


def fetch_file(place: ArchivePlace, row: ArchivedMonth, file: Path) -> FileContent:
    """Copy a file to this machine and compare it with its row; one that is behind is brought up to it.

    Raises:
        ArchiveError: it is not there, damaged, or another one.
    """
    place.fetch(row.name, file)
    content = read_content(file, row.name)
    if content.digest != row.digest:
        if row.digest not in content.replaced:
            raise ArchiveError(f"{place.url}/{row.name} is not the file that was archived.")
        settle(row, content, file.stat().st_size)
    return content


def settle(row: ArchivedMonth, content: FileContent, size: int) -> None:
    """Note what the row's file holds."""
    row.rows, row.digest, row.bytes = content.rows, content.digest, size
    ArchivedMonth.objects.filter(pk=row.pk).update(rows=content.rows, digest=content.digest, bytes=size)


def rows_of_units(
    place: ArchivePlace, row: ArchivedMonth, unit_ids: Collection[str]
) -> list[dict[str, Any]]:
    """Return the rows of some units.

    Files are ordered by unit, so that of each only the groups of rows are read that may hold one.

    Raises:
        ArchiveError: the file is not there, or damaged.
    """
    wanted = pa.array(sorted(unit_ids), pa.string())
    rows: list[dict[str, Any]] = []
    try:
        with place.open(row.name) as stream, pq.ParquetFile(stream) as parquet:
            for group in _groups_of(parquet, unit_ids):
                table = parquet.read_row_group(group)
                rows += table.filter(pc.is_in(table["unit_id"], value_set=wanted)).to_pylist()
    except RemoteStoreError as error:
        raise ArchiveError(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(f"{place.url}/{row.name} is cut or damaged: {_line_of(error)}.") from error
    return rows


def _groups_of(parquet: pq.ParquetFile, unit_ids: Collection[str]) -> Iterator[int]:
    column = parquet.schema_arrow.get_field_index("unit_id")
    for group in range(parquet.num_row_groups):
        bounds = parquet.metadata.row_group(group).column(column).statistics
        # Bounds of long texts may be cut off, so that they say nothing.
        if (
            bounds is None
            or not bounds.has_min_max
            or any(bounds.min <= unit <= bounds.max for unit in unit_ids)
        ):
            yield group


def without_units(
    source: Path, target: Path, unit_ids: Collection[str], replaced: tuple[str, ...]
) -> FileContent:
    """Write a file's rows without those of some units.

    Raises:
        OSError: it cannot be written.
    """
    wanted = pa.array(sorted(unit_ids), pa.string())
    with pq.ParquetFile(source) as parquet:
        schema = parquet.schema_arrow.remove_metadata()
        batches = (
            batch.filter(pc.invert(pc.is_in(batch["unit_id"], value_set=wanted)))
            for batch in parquet.iter_batches(batch_size=CHUNK)
        )
        return write_rows(target, schema, batches, replaced)


def _line_of(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
