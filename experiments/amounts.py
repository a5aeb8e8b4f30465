"""Amounts as files write them: 12.90, 12,90, €12,90, 1.299,00 EUR.

Guarantees: what can be read in two ways is not read. One mark before three digits ("1,299") may part
thousands or be the decimal mark, and "€1.299" likewise; a number without a currency ("1.299") is read
as every number of a file is, unless its column has decimal commas. A currency stands at one end.
"""

from __future__ import annotations

import re
from typing import Any

from experiments.bounds import MAX_VALUE, BoundsError, decimal, is_decimal

# Not the sign of cents: 90¢ is not 90.
_SIGNS = (
    "$\u00a3-\u00a5\u058f\u060b\u09f2\u09f3\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20c0\ufdfc\ufe69\uff04\uffe1"
    "\uffe5\uffe6"
)
# ISO 4217, the ones that files have: any three letters may be an article's ("SKU 129").
_CODES = (
    "AED ARS AUD BDT BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES "
    "KRW KWD LKR MAD MXN MYR NGN NOK NZD PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD UAH USD "
    "UYU VND ZAR"
)
_MARK = rf"(?:[A-Z]{{1,2}}\$|[{_SIGNS}]|{_CODES.replace(' ', '|')})"  # R$, €, EUR
_AMOUNT = re.compile(
    rf"(?P<sign>[-−]?)\s*(?P<before>{_MARK})?\s*(?P<inner>[-−]?)\s*"
    rf"(?P<digits>[0-9.][0-9.,\s'’]*?)\s*(?P<after>{_MARK})?"
)
MAX_WRITTEN = 60  # characters: longer is no amount
# Blanks and apostrophes part thousands, and nothing else: "12 90" is no amount.
_PARTED = re.compile(r"(?<=[0-9])[\s'’](?=[0-9]{3}(?![0-9]))")
# Groups of three before a decimal part, which another mark begins.
_GROUPED = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})*(?!\1)[.,][0-9]{1,4}")
_GROUPS = re.compile(r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})+")
_COMMA = re.compile(r"[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]{3}")
_TORN = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


def read_amount(
    value: Any,
    field: str,
    *,
    low: float = -MAX_VALUE,
    rule: str = "a number such as 12.90",
    has_commas: bool = False,
) -> float:
    """Return an amount that a file holds, as a number or as people write prices.

    Args:
        value: a number, or a text.
        field: its name in messages.
        low: the least that it may be.
        rule: what it must be, in words.
        has_commas: whether other values of its column have decimal commas: 1.299 may be a thousand.

    Raises:
        BoundsError: it is no amount, can be read in two ways, or is out of bounds.
    """
    if has_commas and isinstance(value, str) and _TORN.fullmatch(value.strip().lstrip("-−")):
        raise BoundsError(field, value, "clear, such as 1.299,00: other values have decimal commas")
    written = _plain(value) if isinstance(value, str) else value
    try:
        number = decimal(written, field)
    except BoundsError:
        number = None
    if number is None and isinstance(value, str) and _is_ambiguous(value):
        raise BoundsError(field, value, "clear, such as 12.90: it can be read in two ways")
    if number is None or number < low:
        raise BoundsError(field, value, rule)
    return number


def _is_ambiguous(written: str) -> bool:
    """Whether one mark before three digits may part thousands, or be the decimal mark."""
    digits = _split(written)[1]
    return _TORN.fullmatch(digits.replace(",", ".")) is not None and not is_decimal(written)


def has_decimal_comma(written: str) -> bool:
    """Whether an amount has a comma as its decimal mark, and can be read in no other way."""
    if "," not in written:
        return False
    digits = _split(written)[1]
    is_grouped = _GROUPED.fullmatch(digits) is not None and digits.rfind(",") > digits.rfind(".")
    return is_grouped or _COMMA.fullmatch(digits) is not None


def _split(written: str) -> tuple[str, str]:
    """Return the sign and the digits of an amount, without a currency at one of its ends.

    The digits are empty where something else is written: a currency inside ("12€90") or at both ends.
    """
    match = _AMOUNT.fullmatch(written.strip()) if len(written) <= MAX_WRITTEN else None
    if match is None or (match["sign"] and match["inner"]) or (match["before"] and match["after"]):
        return "", ""
    return "-" if match["sign"] or match["inner"] else "", _PARTED.sub("", match["digits"])


def _plain(written: str) -> str:
    """Return an amount as plain digits with a point; what is none stays as it is."""
    if is_decimal(written):
        return written
    sign, digits = _split(written)
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
