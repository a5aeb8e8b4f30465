"""Texts in one form: "é" may be one character (composed, NFC) or two, which no comparison finds equal.

Labels and properties are stored composed, and filters compare composed texts. Ids are no texts: they
stay as they are sent.
"""

from __future__ import annotations

import unicodedata
from typing import Any


def composed(value: Any) -> Any:
    """Return a JSON value whose texts and names are composed (Unicode's NFC)."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {composed(name): composed(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [composed(one) for one in value]
    return value
