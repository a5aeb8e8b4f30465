"""What differs between two configurations, in lines that people read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MAX_VALUE = 160  # characters of a value in a line


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that changes, or something that is created.

    Attributes:
        path: where it stands in the file.
        before: its value; None where it is created.
        after: its value then.
        is_new: whether it is created.
    """

    path: tuple[str, ...]
    before: Any
    after: Any
    is_new: bool = False

    def __str__(self) -> str:
        where = ".".join(self.path)
        if not self.is_new:
            return f"~ {where}: {_shown(self.before)} → {_shown(self.after)}"
        if not isinstance(self.after, dict):
            return f"+ {where}: {_shown(self.after)}"
        lines = [f"    {name}: {_shown(value)}" for name, value in self.after.items() if _says(value)]
        return "\n".join([f"+ {where}", *lines])


def compare(before: Any, after: Any, path: tuple[str, ...] = ()) -> list[Change]:
    """Return what differs, in the order of the file."""
    if isinstance(before, dict) and isinstance(after, dict):
        changes: list[Change] = []
        for name, value in after.items():
            if name in before:
                changes += compare(before[name], value, (*path, name))
            else:
                changes.append(Change((*path, name), None, value, is_new=True))
        gone = [name for name in before if name not in after]
        return changes + [Change((*path, name), before[name], None) for name in gone]
    return [] if before == after else [Change(path, before, after)]


def _says(value: Any) -> bool:
    return value not in (None, "", [], {}, False)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
