"""Values of JSON in an input of one line: what is shown is read back as the same value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable


def show_in_line(value: Any, read: Callable[[str], Any], *, may_be_bare: bool = True) -> str:
    """Return a value so that reading it gives the same: a text that would be read otherwise in quotes.

    Args:
        value: of JSON.
        read: how the field reads a text.
        may_be_bare: whether a text may stand without quotes.
    """
    if not isinstance(value, str):
        try:
            return orjson.dumps(value).decode()
        except TypeError:  # a whole number beyond 64 bits, which an old row may hold
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # A browser drops the line breaks of an input, and a form the spaces at both ends.
    bare = may_be_bare and value and value.isprintable() and value == value.strip()
    return value if bare and read(value) == value else orjson.dumps(value).decode()
