"""Markdown of the generated pages: text that stays text, and tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def plain(text: str) -> str:
    """Return text of which nothing is read as HTML, emphasis, or the end of a cell."""
    for letter in ("\\", "`", "*", "_", "[", "]", "|"):
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.replace("<", "&lt;").split())


def code(text: str) -> str:
    """Return text as code within a line; a cell may hold it."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are Markdown; no table without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines, ""])


def json_block(value: Any) -> str:
    """Return a value as a block of JSON."""
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"
