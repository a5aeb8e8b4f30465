"""Which column of a file is which field, where a person names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.data_files.rows import DatasetError
from bakeoff.data_files.values import as_sentences
from experiments.column_names import fold_name, missing_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


def require_columns(path: Path, columns: Sequence[str], names: Iterable[str], hint: str = "") -> None:
    """Refuse a name that no column has.

    Args:
        path: of the file, for the message.
        columns: those of the file.
        names: each must be one of them.
        hint: what to do, after the sentence.

    Raises:
        DatasetError: one is not.
    """
    for name in names:
        if name not in columns:
            raise DatasetError(f"file '{path}' {missing_column(name, columns)}{hint}")


def refuse_near_miss(path: Path, columns: Sequence[str], name: str, option: str) -> None:
    """Refuse a file that has no column of a usual name, but one that is written a little differently.

    Raises:
        DatasetError: with the option that names the column.
    """
    near = [column for column in columns if fold_name(column) == fold_name(name)]
    if name not in columns and near:
        raise DatasetError(
            f"file '{path}' {missing_column(name, columns)} Name it with {option} COLUMN."
        )


class FieldColumns:
    """The fields of rows by the columns that hold them.

    A column that was named for a field is no property, but it is still the field of its own name
    unless another column was named for that: --text title takes nothing from the title.
    """

    def __init__(self, named: Mapping[str, str | Sequence[str] | None]) -> None:
        """Begin with what was named.

        Args:
            named: by field, a column or several; None or none: a column of the field's own name.
        """
        self._fields = frozenset(named)
        self._columns: dict[str, tuple[str, ...]] = {}
        for field, names in named.items():
            if names:
                self._columns[field] = (names,) if isinstance(names, str) else tuple(names)
        self._taken = {name for names in self._columns.values() for name in names}

    def check(self, path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
        """Refuse a file without a column that was named, or without a field that each row needs.

        Raises:
            DatasetError: with the columns that the file has.
        """
        require_columns(path, columns, self._taken)
        for field in required:
            if field not in self._columns:
                option = f"--{field.replace('_', '-')}"
                require_columns(path, columns, [field], f" Or name another with {option} COLUMN.")

    def names_of(self, columns: Sequence[str]) -> list[str]:
        """Return the fields that the file's rows have, and columns of no known field by their names."""
        rest = [one for one in columns if self._keeps_name(one)]
        return [*self._columns, *rest]

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row by its fields; several columns of one field are joined as sentences."""
        if not self._columns:
            return dict(row)
        rest = {name: value for name, value in row.items() if self._keeps_name(name)}
        named = {
            field: row[names[0]]
            if len(names) == 1
            else ". ".join(filter(None, (as_sentences(row[name]) for name in names)))
            for field, names in self._columns.items()
        }
        return rest | named

    def _keeps_name(self, column: str) -> bool:
        is_free = column not in self._taken or column in self._fields
        return is_free and column not in self._columns
