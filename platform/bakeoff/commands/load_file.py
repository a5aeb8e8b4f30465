"""Read the rows of a file that is loaded: where it goes on, and which rows are rejected."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from bakeoff.commands.terminal import echo, progress
from bakeoff.data_files.rejected import RejectedRows
from bakeoff.data_files.rows import DatasetError, RowStream, stream_rows
from experiments.bounds import BoundsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


T = TypeVar("T")


@contextmanager
def read_file(
    file: Path,
    parse: Callable[[dict[str, Any]], T],
    *,
    prepare: Callable[[RowStream], None],
    resume: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Iterator[T], _Reading[T]]]:
    """Yield the valid rows of a file, and the reading: its `advance` is called after each commit.

    Args:
        file: CSV, TSV or Parquet.
        parse: reads a row; a BoundsError rejects this row alone.
        prepare: is called before the first row; a DatasetError refuses the file.
        resume: the options, under which alone a load that was interrupted goes on where it was; None
            begins anew each time.

    Raises:
        click.UsageError: the file cannot be read, lacks a column, or has no row that can be loaded.
    """
    rejects: RejectedRows | None = None
    try:
        stream = stream_rows(file)
        prepare(stream)
        place = _Place(file, options=resume)
        if place.done:
            echo(f"Resuming after row {place.done} of {file.name}.")
        rejects = RejectedRows(file, append=place.done > 0)
        with progress(f"Loading {file.name}", stream.total) as bar:
            reading = _Reading(stream.rows, parse, place, rejects, bar)
            yield reading.good(), reading
            reading.advance(0)
        if reading.accepted == 0 and not place.done:
            place.forget()  # the load with corrected options begins anew
            raise DatasetError(f"file '{file}' has no row that can be loaded.")
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
    finally:
        if rejects is not None and rejects.count:
            echo(rejects.sentence())
    place.forget()


class _Reading(Generic[T]):
    """Rows on their way from a file: what is committed of them is noted, with what was rejected."""

    def __init__(
        self,
        rows: Iterator[dict[str, Any]],
        parse: Callable[[dict[str, Any]], T],
        place: _Place,
        rejects: RejectedRows,
        bar: Callable[[int], None],
    ) -> None:
        self._rows, self._parse = rows, parse
        self._place, self._rejects, self._bar = place, rejects, bar
        self._seen = self._reported = self.accepted = 0
        # What is not committed yet, each with its row and its line.
        self._pending: list[tuple[T, dict[str, Any], int]] = []

    def good(self) -> Iterator[T]:
        for row in self._rows:
            self._seen += 1
            if self._seen <= self._place.done:
                continue
            try:
                parsed = self._parse(row)
            except BoundsError as error:
                self._rejects.add(row, self._seen + 1, str(error))
                continue
            self.accepted += 1
            self._pending.append((parsed, row, self._seen + 1))
            yield parsed

    def reject(self, parsed: T, why: str) -> None:
        """Reject a row that was read, and cannot be written; before the commit of its chunk."""
        row, line = next((row, line) for one, row, line in self._pending if one is parsed)
        self._rejects.add(row, line, why)
        self.accepted -= 1

    def advance(self, _committed: int) -> None:
        """Note that every row so far is committed or rejected."""
        self._pending.clear()
        self._bar(self._seen - self._reported)
        self._reported = self._seen
        self._rejects.write()
        self._place.write(self._seen)


class _Place:
    """How far a load came: a file beside the loaded one, until the load is complete."""

    def __init__(self, file: Path, *, options: Mapping[str, Any] | None) -> None:
        stat = file.stat()
        packed = json.dumps(options, sort_keys=True).encode()
        self._of = {
            "size": stat.st_size,
            "modified": stat.st_mtime_ns,
            "options": hashlib.sha256(packed).hexdigest()[:16],
        }
        self._file = file.with_name(f"{file.name}.progress.json")
        self._keeps = options is not None
        self.done = self._read() if self._keeps else 0

    def _read(self) -> int:
        """Return how many rows are done; none of a file, or with options, that changed since."""
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            return int(stored["rows"]) if stored["of"] == self._of else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def write(self, rows: int) -> None:
        if not self._keeps:
            return
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps({"of": self._of, "rows": rows}), encoding="utf-8")
            new.replace(self._file)
        except OSError as error:  # a folder that cannot be written: the load goes on without
            self._keeps = False
            echo(
                f"'{self._file}' cannot be written ({error.strerror}): a load that is interrupted "
                "begins anew."
            )

    def forget(self) -> None:
        if self._keeps:
            self._file.unlink(missing_ok=True)
