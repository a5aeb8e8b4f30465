"""Files and columns as DuckDB's SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.analysis.unit_file import FileError

if TYPE_CHECKING:
    from pathlib import Path


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"


def source_of(path: Path) -> str:
    """Return the DuckDB expression that reads a file: Parquet by its first bytes, else CSV.

    Raises:
        FileError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise FileError(f"file == '{path}', does not exist.")
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        raise FileError(f"file == '{path}', is empty.")
    if start == b"PAR1":
        return f"read_parquet({text(str(path))})"
    return f"read_csv({text(str(path))}, header = true, sample_size = 100000)"


def is_text(kind: str) -> bool:
    """Whether a column holds text."""
    return kind == "VARCHAR"


def as_number(column: str, kind: str) -> str:
    """Return SQL of a column as a number: words for missing and for truth are understood."""
    name = quote(column)
    if kind in {"FLOAT", "DOUBLE"}:  # NaN is how some tools write a missing value
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name}::DOUBLE END"
    if not is_text(kind):
        return f"TRY_CAST({name} AS DOUBLE)"
    word = f"lower(trim({name}))"
    return f"""CASE WHEN {word} IN ('true', 't', 'yes') THEN 1.0 WHEN {word} IN ('false', 'f', 'no')
        THEN 0.0 WHEN {word} IN ('nan') THEN NULL ELSE TRY_CAST({name} AS DOUBLE) END"""


def first_line(error: Exception) -> str:
    """Return an error of the engine in one line."""
    if "unicode" in str(error).lower():
        return "it must be UTF-8"
    return str(error).strip().splitlines()[0].removeprefix("Invalid Input Error: ")
