"""What the columns of a text file hold: numbers, true and false, or texts, each column as a whole.

A column is of numbers when every value is one, and none begins with a needless zero or a plus: those
are codes and telephone numbers. More than 15 digits are a code too, which a number would round.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
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
    """

    numbers: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    texts: dict[str, tuple[str, int]] = field(default_factory=dict)
    kept: Collection[str] = ()

    def value(self, column: str, value: Any) -> Any:
        """Return a value as its column's kind; None where the cell is empty."""
        if value is None or value == "":
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
    for row in rows:
        if not open_columns:
            break
        for column in tuple(open_columns):
            value = (row[column] or "").strip()
            if not value or _still(kinds, column, value, counts[column]):
                counts[column] += bool(value)
                continue
            kinds.texts[column] = (value, counts[column] if column in kinds.numbers else 0)
            kinds.numbers.discard(column)
            kinds.truths.discard(column)
            open_columns.remove(column)
    return kinds


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
    digits = sum(letter.isdigit() for letter in re.split("[eE]", value)[0])
    return digits <= MAX_DIGITS and math.isfinite(float(value))


def _listed(names: Collection[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_NAMED} more" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more
