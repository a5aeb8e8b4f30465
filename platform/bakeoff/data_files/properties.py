"""Columns of a file that become properties of items, or attributes of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.data_files.columns import require_columns
from bakeoff.data_files.kinds import ColumnKinds, read_kinds
from bakeoff.data_files.rows import stream_rows
from bakeoff.data_files.values import as_json_value
from experiments import bounds
from experiments.bounds import MAX_PROPERTIES_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bakeoff.data_files.rows import RowStream

    # The names whose stored values are texts, of those that are asked for.
    StoredKinds = Callable[[Sequence[str]], set[str]]


class PropertyColumns:
    """Reads properties, each as what its whole column holds; an empty cell is none.

    Attributes:
        names: the columns that are properties.
    """

    def __init__(
        self,
        file: Path,
        as_text: Sequence[str],
        what: str = "properties",
        stored: StoredKinds | None = None,
    ) -> None:
        """Begin before the file is read.

        Args:
            file: which is read.
            as_text: columns that stay texts.
            what: the name of them all in messages.
            stored: says which names are stored as texts, and stay so; None reads the file alone.
        """
        self._file, self._as_text, self._what = file, as_text, what
        self._stored = stored
        self.names: Sequence[str] = ()
        self._kinds = ColumnKinds(kept=as_text)

    def prepare(self, stream: RowStream, names: Sequence[str]) -> None:
        """Read a text file once to see what its columns hold; a Parquet file says it.

        Args:
            stream: of the file, with its columns.
            names: the columns that are properties.

        Raises:
            DatasetError: the file has no column of a name in `as_text`.
        """
        require_columns(self._file, stream.columns, self._as_text)
        self.names = names
        if names and not stream.is_typed:
            rows = stream_rows(self._file).rows
            self._kinds = read_kinds(rows, names, as_text=self._as_text)
            guessed = sorted(self._kinds.numbers | self._kinds.truths)
            if self._stored is not None and guessed:
                self._kinds.keep_texts(self._stored(guessed))

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a row.

        Raises:
            BoundsError: they are too large, or hold what no database can.
        """
        values = {name: self._kinds.value(name, as_json_value(row[name])) for name in self.names}
        values = {name: value for name, value in values.items() if value is not None}
        bounds.check(values, self._what, max_bytes=MAX_PROPERTIES_BYTES)
        return values

    def sentences(self) -> Iterator[str]:
        """Say what was read as what."""
        yield from self._kinds.sentences(self._what)
