"""Files and columns as DuckDB's SQL."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from experiments.scorecards.unit_file import FileError, TextFormat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPACES = "[ \u00a0\u202f]"  # a group's space is often one that no line breaks at
NUMBERS = {
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
    "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE",
}  # fmt: skip
PLAIN = TextFormat()


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"


def source_of(path: Path, *, texts: Iterable[str] = (), form: TextFormat = PLAIN) -> str:
    """Return the DuckDB expression that reads a file: Parquet by its first bytes, else CSV.

    Args:
        path: of the file.
        texts: columns of a CSV whose values are names: they stay as they are written.
        form: how a CSV writes its numbers.

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
    options = ["header = true", "sample_size = 100000"]
    if not form.is_plain:
        options.append("all_varchar = true")  # a guess would take 1.234 for a number near one
        if form.decimal == ",":  # a comma is inside of numbers, so it separates nothing
            options.append(f"delim = {text(_delimiter(path))}")
    elif names := [f"{text(name)}: 'VARCHAR'" for name in texts]:
        options.append(f"types = {{{', '.join(names)}}}")
    return f"read_csv({text(str(path))}, {', '.join(options)})"


def _delimiter(path: Path) -> str:
    with path.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as stream:
        head = stream.readline()
    return max((";", "\t", "|"), key=lambda mark: head.count(mark.encode()))


def is_text(kind: str) -> bool:
    """Whether a column holds text."""
    return kind == "VARCHAR"


def is_number(kind: str) -> bool:
    """Whether a column holds numbers or truth values."""
    return kind in NUMBERS or kind.startswith("DECIMAL")


def as_number(column: str, kind: str, form: TextFormat = PLAIN) -> str:
    """Return SQL of a column as a number: words for missing and for truth are understood."""
    name = quote(column)
    if kind in {"FLOAT", "DOUBLE"}:  # NaN is how some tools write a missing value
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name}::DOUBLE END"
    if not is_text(kind):
        return f"TRY_CAST({name} AS DOUBLE)"
    word = f"lower(trim({name}))"
    return f"""CASE WHEN {word} IN ('true', 't', 'yes') THEN 1.0 WHEN {word} IN ('false', 'f', 'no')
        THEN 0.0 WHEN {word} IN ('nan') THEN NULL ELSE {_parsed(f"trim({name})", form)} END"""


def _parsed(word: str, form: TextFormat) -> str:
    """Return SQL of a text as a number.

    A mark of thousands must stand before each three digits: 1,23 is no number, not 123. An
    underscore is no mark either, although DuckDB reads past it.
    """
    plain = f"CASE WHEN contains({word}, '_') THEN NULL ELSE TRY_CAST({{}} AS DOUBLE) END"
    if form.is_plain:
        return plain.format(word)
    mark = SPACES if form.thousands == " " else f"[{form.thousands}]" * bool(form.thousands)
    point = f"[{form.decimal}]"
    digits = rf"(\d{{1,3}}({mark}\d{{3}})+|\d+)" if mark else r"\d+"
    pattern = rf"[+-]?({digits}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    bare = f"regexp_replace({word}, {text(mark)}, '', 'g')" if mark else word
    read = f"replace({bare}, {text(form.decimal)}, '.')" if form.decimal != "." else bare
    return f"CASE WHEN regexp_full_match({word}, {text(pattern)}) THEN TRY_CAST({read} AS DOUBLE) END"


def number_hint(value: str) -> str:
    """Return which option would read a value, as the end of a sentence; empty if none would."""
    digits = value.strip().lstrip("+-")
    if "," in digits and all(part.isdigit() for part in digits.replace(".", ",").split(",")):
        grouped = len(digits.rsplit(",", 1)[1].split(".")[0]) == 3
        if "." in digits and digits.index(".") < digits.index(","):
            return "; --decimal , --thousands . reads such ones"
        return "; --thousands , reads such ones" if grouped else "; --decimal , reads such ones"
    return ""


def first_line(error: Exception) -> str:
    """Return an error of the engine in one line."""
    if "unicode" in str(error).lower() or "utf-8" in str(error).lower():
        return "it must be UTF-8, or its encoding be named with --encoding, such as latin-1"
    return str(error).strip().splitlines()[0].removeprefix("Invalid Input Error: ")
