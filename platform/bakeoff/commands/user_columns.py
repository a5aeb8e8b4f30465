"""Users with their attributes from the rows of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.data_files.columns import FieldColumns
from bakeoff.data_files.properties import PropertyColumns
from bakeoff.data_files.values import id_of
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bakeoff.data_files.properties import StoredKinds
    from bakeoff.data_files.rows import RowStream

UNIT, USER = "unit_id", "user_id"


class UserColumns:
    """Reads users from the rows of one file."""

    def __init__(
        self,
        file: Path,
        unit: str | None,
        as_text: Sequence[str],
        stored: StoredKinds | None = None,
    ) -> None:
        """Begin with the columns that were named.

        Args:
            file: which is read.
            unit: column of the user's id; None for `unit_id` or `user_id`.
            as_text: columns of attributes that stay texts.
            stored: what the attributes of users who are there hold; None does not look.
        """
        self._file, self._unit = file, unit
        self._columns = FieldColumns({UNIT: unit})
        self._attributes = PropertyColumns(file, as_text, "attributes", stored=stored)
        self._ids: set[str] = set()
        self._repeated = 0

    def prepare(self, stream: RowStream) -> None:
        """Refuse a file without ids, or without a column that was named; see what its columns hold.

        Raises:
            DatasetError: with the columns that the file has.
        """
        if self._unit is None and UNIT not in stream.columns and USER in stream.columns:
            self._columns = FieldColumns({UNIT: USER})
        self._columns.check(self._file, stream.columns, [UNIT])
        names = self._columns.names_of(stream.columns)
        self._attributes.prepare(stream, [name for name in names if name != UNIT])

    def read(self, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the id and the attributes of a row.

        Raises:
            BoundsError: a value breaks a rule.
        """
        fields = self._columns.fields(row)
        unit = id_of(fields, UNIT), self._attributes.read(fields)
        self._repeated += unit[0] in self._ids
        self._ids.add(unit[0])
        return unit

    @property
    def distinct(self) -> int:
        """How many users there were."""
        return len(self._ids)

    def sentences(self) -> Iterator[str]:
        """Say what the columns were read as, and how many rows repeat an id."""
        yield from self._attributes.sentences()
        if self._repeated:
            rows = counted(self._repeated, "row", "repeats", "repeat")
            yield f"{rows} a {UNIT}: the last one holds."
