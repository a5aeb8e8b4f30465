"""The column of a file that a person meant: what to say where the file has no such one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SHOWN = 40  # columns that a message lists


def missing_column(name: str, columns: Iterable[str]) -> str:
    """Return the end of a sentence on a file: that it has no such column, and which one is meant."""
    known = list(columns)
    more = f" and {len(known) - MAX_SHOWN} more" if len(known) > MAX_SHOWN else ""
    near = nearest_column(name, known)
    hint = f" Did you mean '{near}'?" if near is not None else ""
    return f"has no column '{name}', it has {known[:MAX_SHOWN]}{more}.{hint}"


def not_found(name: str, columns: Iterable[str]) -> str:
    """Return the sentence that an analysis refuses a column with, and which one is meant."""
    known = list(columns)
    near = nearest_column(name, known)
    hint = f" Did you mean '{near}'?" if near is not None else ""
    return f"column == '{name}', not found; the file has {known}.{hint}"


def nearest_column(name: str, columns: Iterable[str]) -> str | None:
    """Return the column whose name is nearest; None where none is near."""
    by_folded = {fold_name(column): column for column in reversed(list(columns))}
    near = difflib.get_close_matches(fold_name(name), by_folded, n=1)
    return by_folded[near[0]] if near else None


def fold_name(name: str) -> str:
    """Return a name without case, blanks and marks between words: "Item ID" is item_id."""
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
