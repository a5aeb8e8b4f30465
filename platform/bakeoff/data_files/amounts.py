"""A column of amounts: whether other values of the file show how one of them is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.data_files.rows import stream_rows
from experiments.amounts import has_decimal_comma, read_amount
from experiments.bounds import MAX_VALUE

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.data_files.columns import FieldColumns
    from bakeoff.data_files.rows import RowStream


class AmountColumn:
    """Reads the amounts of one field."""

    def __init__(self, field: str, *, low: float = -MAX_VALUE, rule: str) -> None:
        """Begin before the file is read.

        Args:
            field: which holds them.
            low: the least that one may be.
            rule: what each must be, in words.
        """
        self._field, self._low, self._rule = field, low, rule
        self._has_commas = False

    def prepare(self, file: Path, stream: RowStream, columns: FieldColumns) -> None:
        """Read a text file up to its first decimal comma, or to its end."""
        if self._field in columns.names_of(stream.columns) and not stream.is_typed:
            rows = (columns.fields(row) for row in stream_rows(file).rows)
            self._has_commas = any(has_decimal_comma(row[self._field] or "") for row in rows)

    def read(self, value: Any) -> float:
        """Return an amount.

        Raises:
            BoundsError: it is none, is out of bounds, or can be read in two ways.
        """
        return read_amount(
            value, self._field, low=self._low, rule=self._rule, has_commas=self._has_commas
        )
