"""Amounts as files write them: 12.90, 12,90, €12,90, 1.299,00 EUR.

Guarantees: what can be read in two ways is not read. One mark before three digits ("1,299") may part
thousands or be the decimal mark, and "€1.299" likewise; a number without a currency ("1.299") is read
as every number of a file is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from experiments.bounds import MAX_VALUE, BoundsError, decimal, is_decimal

_CODE = re.compile(r"^[A-Z]{3}\b|\b[A-Z]{3}$")  # of a currency: EUR 12.90, 12.90 EUR
# Blanks and apostrophes part thousands, and nothing else: "12 90" is no amount.
_PARTED = re.compile(r"(?<=[0-9])[\s'’](?=[0-9]{3}(?![0-9]))")
# Groups of three before a decimal part, which another mark begins.
_GROUPED = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})*(?!\1)[.,][0-9]{1,4}")
_GROUPS = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})+")
_COMMA = re.compile(r"[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]{3}")
_TORN = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


def read_amount(
    value: Any, field: str, *, low: float = -MAX_VALUE, rule: str = "a number such as 12.90"
) -> float:
    """Return an amount that a file holds, as a number or as people write prices.

    Args:
        value: a number, or a text.
        field: its name in messages.
        low: the least that it may be.
        rule: what it must be, in words.

    Raises:
        BoundsError: it is no amount, can be read in two ways, or is out of bounds.
    """
    written = _plain(value) if isinstance(value, str) else value
    try:
        number = decimal(written, field)
    except BoundsError:
        number = None
    if number is None or number < low:
        raise BoundsError(field, value, rule)
    return number


def _plain(written: str) -> str:
    """Return an amount as plain digits with a point; what is none stays as it is."""
    if is_decimal(written):
        return written
    text = _CODE.sub("", written.strip())
    text = "".join(one for one in text if unicodedata.category(one) != "Sc").strip()
    sign, digits = ("-", text[1:].strip()) if text[:1] in {"-", "−"} else ("", text)
    digits = _PARTED.sub("", digits)
    if _TORN.fullmatch(digits):  # with a currency a person wrote it: €1.299 may be a thousand
        return written
    if _GROUPED.fullmatch(digits):
        mark = max(digits.rfind("."), digits.rfind(","))
        return f"{sign}{re.sub('[.,]', '', digits[:mark])}.{digits[mark + 1 :]}"
    if _GROUPS.fullmatch(digits):
        return sign + re.sub("[.,]", "", digits)
    if _COMMA.fullmatch(digits):
        return sign + digits.replace(",", ".")
    return sign + digits if is_decimal(digits) else written
