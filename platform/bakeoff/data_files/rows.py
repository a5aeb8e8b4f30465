"""The rows of a file: CSV or TSV in UTF-8 or UTF-16, also packed by gzip, or Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from experiments.scorecards.text_file import GZIP, MARKS, ZIP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

# Of a cell. Python's own limit of 128 kB refuses a file whose row with a long text could be refused
# alone; a quote that is not closed still does not take all that follows into memory.
MAX_CELL = 4 << 20
# RecBole writes the type into the header: `item_id:token`.
_RECBOLE = frozenset(("token", "token_seq", "float", "float_seq"))


class DatasetError(Exception):
    """A file that cannot be used; the message names the file, the row or the column."""


@dataclass(frozen=True, slots=True)
class RowStream:
    """Rows of a file, read lazily.

    Attributes:
        total: how many there are; of a CSV file how many lines, which quoted text may hold too.
        columns: their names, in the file's order.
        is_typed: whether values have types (Parquet); else each is a text.
        rows: each with its columns; raises DatasetError where the file cannot be read.
    """

    total: int
    columns: Sequence[str]
    is_typed: bool
    rows: Iterator[dict[str, Any]]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file as a whole.

    Raises:
        DatasetError: it is missing, empty or unreadable.
    """
    return list(stream_rows(path).rows)


def stream_rows(path: Path) -> RowStream:
    """Open a CSV, TSV or Parquet file of any size.

    Raises:
        DatasetError: it is missing, empty or unreadable.
    """
    if not path.is_file():
        raise DatasetError(f"file '{path}' does not exist.")
    is_typed = path.suffix.lower() in {".parquet", ".pq"}
    with named_errors(path):
        if is_typed:
            import pyarrow.parquet as pq  # noqa: PLC0415  most files are CSV, and help needs none

            file = pq.ParquetFile(path)
            total, rows = file.metadata.num_rows, _read_parquet(file)
        else:
            total, rows = max(_count_lines(path) - 1, 1), _read_csv(path)
        first = next(rows, None)
    if first is None:
        raise DatasetError(f"file '{path}' has no rows.")
    return RowStream(total, list(first), is_typed, _with_named_errors(path, chain([first], rows)))


def _count_lines(path: Path) -> int:
    with _unpacked(path) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Name the file and what is wrong with it, where it cannot be read.

    Raises:
        DatasetError: in place of what reading raises.
    """
    try:
        yield
    except UnicodeError as error:
        rule = "must be UTF-8, or UTF-16 with its byte order mark; save it as one of them"
        raise DatasetError(f"file '{path}' cannot be read: its encoding {rule}.") from error
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise DatasetError(f"file '{path}' cannot be read: {error}.") from error


def _with_named_errors(path: Path, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with named_errors(path):
        yield from rows


def _read_parquet(file: pq.ParquetFile) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(batch_size=10_000):
        yield from batch.to_pylist()


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with open_text(path, newline="", kinds="CSV or Parquet") as file:
        csv.field_size_limit(MAX_CELL)
        head = file.readline()
        file.seek(0)
        delimiter = max("\t,;|", key=head.count)
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            for row in reader:
                yield {_without_type(str(k)): v for k, v in row.items() if k is not None}
        except csv.Error as error:
            if "field limit" not in str(error):
                raise
            limit = f"a cell near line {reader.line_num} has more than {MAX_CELL} characters"
            raise DatasetError(f"file '{path}': {limit}: is a quote before it not closed?") from error


@contextmanager
def open_text(path: Path, *, newline: str | None = None, kinds: str = "a text") -> Iterator[IO[str]]:
    """Open a text in the encoding that its mark tells, or UTF-8.

    Args:
        path: of the file.
        newline: as `open` takes it; None translates each end of a line.
        kinds: what the file may be, in words.

    Raises:
        DatasetError: it does not exist, or is a workbook or an archive.
    """
    if not path.is_file():
        raise DatasetError(f"file '{path}' does not exist.")
    with _unpacked(path) as raw:
        start = raw.read(4)
        raw.seek(0)
        if start.startswith(ZIP):
            raise DatasetError(f"file '{path}' is a workbook or an archive, must be {kinds}.")
        encoding = next((name for mark, name in MARKS if start.startswith(mark)), "utf-8-sig")
        with io.TextIOWrapper(raw, encoding=encoding, newline=newline) as file:
            yield file


def _unpacked(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as probe:
        is_packed = probe.read(2) == GZIP
    return gzip.open(path) if is_packed else path.open("rb")


def _without_type(name: str) -> str:
    bare, _, kind = name.rpartition(":")
    return bare if kind in _RECBOLE else name
