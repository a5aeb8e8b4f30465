"""What the columns of a text file hold: numbers, true and false, or texts, each column as a whole.

A column is of numbers when every value is one, and none begins with a needless zero or a plus: those
are codes and telephone numbers. More than 15 digits are a code too, which a number would round, and so
is an exponent (1E5). Needless zeros at the end (2.10) are numbers' only in a column of one format, such
as prices with two decimals: 2.10 beside 2.9 is a version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.data_files.values import is_blank
from inference.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
_TRUTH = {"true": True, "false": False}
MAX_DIGITS = 15
MAX_NAMED = 20  # columns that a sentence lists


@dataclass(slots=True)
class ColumnKinds:
    """What each column holds, as far as it was read.

    Attributes:
        numbers: columns whose every value is a number.
        truths: columns whose every value is true or false.
        texts: other columns, each with its first value that is no number, and with how many were.
        kept: columns that are texts whatever they hold.
        stored: columns that are texts because what is stored of them is.
        clashes: two values of a column of numbers that are written in two ways.
    """

    numbers: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    texts: dict[str, tuple[str, int]] = field(default_factory=dict)
    kept: Collection[str] = ()
    stored: set[str] = field(default_factory=set)
    clashes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keep_texts(self, names: Collection[str]) -> None:
        """Take columns as texts whose values are stored as texts already."""
        self.stored = (self.numbers | self.truths).intersection(names)
        self.numbers -= self.stored
        self.truths -= self.stored
        self.texts |= dict.fromkeys(self.stored, ("", 0))

    def value(self, column: str, value: Any) -> Any:
        """Return a value as its column's kind; None where the cell is blank."""
        if is_blank(value):
            return None
        if column in self.kept:
            return str(value)
        if not isinstance(value, str):
            return value
        if column in self.numbers:
            written = value.strip()
            return int(written) if _WHOLE.fullmatch(written) else float(written)
        return _TRUTH[value.strip().lower()] if column in self.truths else value

    def sentences(self, what: str) -> Iterator[str]:
        """Say what was read as what."""
        parts = [
            f"as numbers {_listed(self.numbers)}" if self.numbers else "",
            f"as true or false {_listed(self.truths)}" if self.truths else "",
            f"as texts {_listed([*self.texts, *self.kept])}" if self.texts or self.kept else "",
        ]
        if any(parts):
            keep = " (`--as-text COLUMN` keeps one as text)" if self.numbers or self.truths else ""
            yield f"{what.capitalize()} are read {', '.join(part for part in parts if part)}{keep}."
        for column, (value, before) in self.texts.items():
            if before:
                numbers = counted(before, "number")
                yield f"'{column}' is text because of '{value[:40]}', after {numbers}."
        for column, (one, other) in self.clashes.items():
            yield f"'{column}' is text: '{one}' beside '{other}' are versions or codes, not numbers."
        for column in sorted(self.stored)[:MAX_NAMED]:
            yield (
                f"'{column}' stays text, as stored: filters and rules compare it as text. Load all "
                "anew with --new-kinds to change it."
            )


def read_kinds(
    rows: Iterable[Mapping[str, Any]], columns: Iterable[str], *, as_text: Collection[str] = ()
) -> ColumnKinds:
    """Read a file to its end, or until each column is known to hold texts.

    Args:
        rows: of a file whose values are texts.
        columns: whose kind is wanted.
        as_text: those that stay texts.
    """
    kinds = ColumnKinds(kept=as_text)
    open_columns = [column for column in columns if column not in as_text]
    counts = dict.fromkeys(open_columns, 0)
    formats = {column: _Format() for column in open_columns}
    for row in rows:
        if not open_columns:
            break
        for column in tuple(open_columns):
            value = (row[column] or "").strip()
            if not value:
                continue
            is_still = _still(kinds, column, value, counts[column])
            clash = formats[column].add(value) if is_still and column in kinds.numbers else None
            if is_still and clash is None:
                counts[column] += 1
                continue
            before = counts[column] if column in kinds.numbers and clash is None else 0
            kinds.texts[column] = (value, before)
            if clash is not None:
                kinds.clashes[column] = clash
            kinds.numbers.discard(column)
            kinds.truths.discard(column)
            open_columns.remove(column)
    return kinds


class _Format:
    """How the numbers of a column are written: whether two texts could become one number."""

    def __init__(self) -> None:
        self._whole = ""
        self._padded = ""  # with a needless zero at the end; `3.0` is how programs write a whole float
        self._round = ""  # with zeros alone after the point
        self._by_decimals: dict[int, str] = {}

    def add(self, value: str) -> tuple[str, str] | None:
        """Take a number; return two that do not agree, or None.

        They do not when one is padded and another has more or fewer decimals (2.10, 2.9), or when one
        is whole and another has nothing but zeros after the point (5, 5.00).
        """
        _, point, decimals = value.partition(".")
        if not point:
            self._whole = value
        else:
            self._by_decimals.setdefault(len(decimals), value)
            if not decimals.strip("0"):
                self._round = value
            if decimals.endswith("0") and decimals != "0":
                self._padded = value
        if self._whole and self._round:
            return self._round, self._whole
        if self._padded and len(self._by_decimals) > 1:
            length = len(self._padded.partition(".")[2])
            return self._padded, next(v for n, v in self._by_decimals.items() if n != length)
        return None


def _still(kinds: ColumnKinds, column: str, value: str, seen: int) -> bool:
    """Whether a column is of one kind with another value; the first value decides which."""
    if value.lower() in _TRUTH:
        found, other = kinds.truths, kinds.numbers
    elif _is_number(value):
        found, other = kinds.numbers, kinds.truths
    else:
        return False
    if column in other or (seen and column not in found):
        return False
    found.add(column)
    return True


def _is_number(value: str) -> bool:
    if _NUMBER.fullmatch(value) is None:
        return False
    return sum(letter.isdigit() for letter in value) <= MAX_DIGITS


def _listed(names: Collection[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_NAMED} more" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more
