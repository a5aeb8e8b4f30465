"""The refusal of a rule, and how it names values."""

from __future__ import annotations

from typing import Any

import orjson


class RuleError(ValueError):
    """A rule that cannot be followed.

    Attributes:
        field: which one.
    """

    def __init__(self, field: str, message: str) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.field = field


def short_repr(value: Any) -> str:
    """Return a value as a message names it: as JSON has it, but a text between ' marks."""
    if isinstance(value, str):
        text = repr(value[:160])  # the whole of a long one would be escaped for nothing
    else:
        try:
            text = orjson.dumps(value, default=repr).decode()
        except TypeError:  # half a character, or a number of more than 64 bits
            text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
