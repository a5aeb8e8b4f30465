"""The order of looks: of numbers by value, of dates by time, of names with numbers as people count.

Guarantees: a date that can be read in two ways never orders anything, unless both ways agree or
somebody says which one is meant.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from experiments.scorecards.unit_file import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
# The parts of 01/02/2026, 1-2-26 or 1.2.2026, perhaps with a time behind them.
_PARTS = re.compile(r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})((?:[ T].*)?)")
_NAMED = (
    "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%b-%y", "%b %Y", "%B %Y", "%b-%y",
)  # fmt: skip
_WITHOUT_YEAR = ("%b %d", "%B %d", "%d %b", "%d %B", "%b", "%B")
_LEAP_YEAR = 2000


def order_looks(labels: Sequence[str], dates: str | None = None) -> tuple[list[str], str]:
    """Return the labels in their order, and what a reader must know of it, or an empty text.

    Args:
        labels: distinct names of looks.
        dates: how dates of digits are meant, `day-first` or `month-first`; None where they must
            speak for themselves.

    Raises:
        FileError: dates can be read in two ways that order the looks differently.
    """
    labels = sorted(labels)  # so that a refusal names the same one each time
    for read in (
        _as_number,
        _as_iso,
        *map(_named_reader, _NAMED),
        *map(_yearless_reader, _WITHOUT_YEAR),
    ):
        if (ordered := _sorted_by(labels, read)) is not None:
            return ordered, ""
    matches = [_PARTS.fullmatch(label.strip()) for label in labels]
    if all(matches):
        return _order_dates(labels, dates), ""
    ordered = sorted(labels, key=natural_key)
    if any(not re.search(r"\d", label) for label in ordered):
        first = ", ".join(f"'{label}'" for label in ordered[:5])
        return ordered, f"Looks without a number or a date are in the order of the alphabet: {first}."
    return ordered, ""


def natural_key(label: str) -> list[tuple[int, int, str]]:
    """Return a key by which "week 2" comes before "week 10"."""
    pieces = re.findall(r"\d+|\D+", " ".join(label.casefold().split()))
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _order_dates(labels: Sequence[str], dates: str | None) -> list[str]:
    orders = {
        name: ordered
        for name in (DAY_FIRST, MONTH_FIRST)
        if dates in {None, name} and (ordered := _sorted_by(labels, _parts_reader(name))) is not None
    }
    if not orders:
        rule = f"a date, {dates}" if dates else "dates that are all day-first or all month-first"
        raise FileError(f"looks == '{labels[0]}', …: must be {rule}.")
    first, *others = orders.values()
    if others and others[0] != first:
        raise FileError(
            f"look == '{labels[0]}' can be the {DAY_FIRST} or the {MONTH_FIRST} date: say which with "
            f"--dates {DAY_FIRST} or --dates {MONTH_FIRST}."
        )
    return first


def _sorted_by(labels: Sequence[str], read: Callable[[str], object]) -> list[str] | None:
    """Return the labels by what a reader makes of them; None where it cannot read one."""
    try:
        return sorted(labels, key=lambda label: (read(" ".join(label.split())), label))
    except (ValueError, TypeError):
        return None


def _as_number(label: str) -> float:
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", label):
        raise ValueError(label)
    return float(label)


def _as_iso(label: str) -> datetime:
    """Read an ISO date or time; one without a zone counts as UTC."""
    at = datetime.fromisoformat(label)
    return at.replace(tzinfo=None) - (at.utcoffset() or at - at)


def _named_reader(form: str) -> Callable[[str], datetime]:
    return lambda label: datetime.strptime(label.replace(",", ""), form)  # noqa: DTZ007  an order only


def _yearless_reader(form: str) -> Callable[[str], datetime]:
    # A year is added: without one 29 February is no date.
    return lambda label: datetime.strptime(  # noqa: DTZ007  an order only
        f"{label.replace(',', '')} {_LEAP_YEAR}", f"{form} %Y"
    )


def _parts_reader(order: str) -> Callable[[str], tuple[date, str]]:
    def read(label: str) -> tuple[date, str]:
        parts = _PARTS.fullmatch(label)
        if parts is None:
            raise ValueError(label)
        first, second, year = int(parts[1]), int(parts[3]), int(parts[4])
        day, month = (first, second) if order == DAY_FIRST else (second, first)
        return date(year if year >= 100 else 2000 + year, month, day), parts[5]

    return read
