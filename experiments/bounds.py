"""What a value from outside may be: the one door of the fast lane, the management API and bulk loads.

Guarantees: what passes `check` and the readers below can be written as JSON, stored by PostgreSQL and
summed by the analysis. `read_json` reads whatever can be read at all, so that one bad row of a batch is
refused by itself: a value that JSON has but a database has not comes back as `Unfit`, which no check
passes.

BoundsError         a value breaks a rule; the message names both
NotJsonError        bytes that are no JSON, however leniently read
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson

MAX_DEPTH = 32
MAX_ID = 200
MAX_NAME = 100
MAX_TITLE = 500
MAX_TEXT = 20_000
MAX_PROPERTIES_BYTES = 32 * 1024
# Sums of squares of a billion such values stay far below the largest double.
MAX_VALUE = 1e15
# What is nearer to 0 counts as 0: PostgreSQL refuses a product that is too small for a double.
MIN_MAGNITUDE = 1e-100
MAX_COUNT = 10**12
# What JSON writers take. PostgreSQL gives a double of that size back as a whole number.
MIN_WHOLE, MAX_WHOLE = -(2**63), 2**64 - 1
MAX_BREAKER_ALPHA = 0.05  # of false trips: more is no breaker, and 0 is none
MAX_SECONDS = 10 * 365.25 * 86_400.0
# Live events: what clients spool comes late, and clocks are a little fast.
PAST = timedelta(days=30)
FUTURE = timedelta(minutes=5)
# Of a log that is loaded. An earlier one is a number that looks like a time (20261101).
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

_MAX_SHOWN = 80
_NESTED = (dict, list)  # a tuple: a union takes three times as long for each of thousands of values
# Cut where a parser would end: what is left is still too deep for `check`.
_CUT_DEPTH = MAX_DEPTH + 8
# Whatever is sent is read once from left to right: a text that does not end, ends with the body, and
# nothing is tried again. `re` holds the interpreter, so a pattern that goes back stops the process.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]{1,4})?")


class BoundsError(ValueError):
    """A value that breaks a rule.

    Attributes:
        field: whose value.
        code: machine-readable name of the rule.
    """

    def __init__(self, field: str, value: object, rule: str, *, code: str = "invalid_value") -> None:
        """Name the value, cut where it is long, and the rule."""
        super().__init__(f"{stated(field, value)}, must be {rule}.")
        self.field, self.code = field, code

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self)


class NotJsonError(ValueError):
    """Bytes that are no JSON."""


class Unfit:
    """A value of JSON text that nothing stores: NaN, or a number beyond any double.

    A plain class on purpose: a dataclass would be written as an object.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Keep how it was written."""
        self.text = text

    def __repr__(self) -> str:
        """Show it as it was written."""
        return self.text


def stated(field: str, value: object) -> str:
    """Return the beginning of a refusal: who sends null, or nothing, need not know Python's None."""
    return f"{field} is missing" if value is None else f"{field} == {shown(value)}"


def shown(value: object) -> str:
    """Return a value for a message: one line that is well-formed and not long."""
    if isinstance(value, bool):  # as JSON has it, not Python
        return "true" if value else "false"
    written = repr(value[: _MAX_SHOWN * 2] if isinstance(value, str | list | tuple) else value)
    written = written.encode("utf-8", "backslashreplace").decode()
    return written if len(written) <= _MAX_SHOWN else f"{written[: _MAX_SHOWN - 3]}…"


def read_json(raw: bytes) -> Any:
    """Read JSON: strictly, or else leniently, so that what is wrong is refused where it stands.

    Args:
        raw: of any content; callers bound its length.

    Raises:
        NotJsonError: it cannot be read at all.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        strict = error
    try:
        try:
            return _read_leniently(raw)
        except RecursionError:
            return _read_leniently(_cut(raw))
    except (ValueError, RecursionError):
        raise NotJsonError(str(strict)) from strict


def _read_leniently(raw: bytes) -> Any:
    # Bytes that are no UTF-8 become lone surrogates, which `check` refuses in their own row.
    return json.loads(
        raw.decode("utf-8", "surrogateescape"),
        parse_constant=Unfit,
        parse_float=_number_or_unfit,
        parse_int=_whole_or_unfit,
    )


def _number_or_unfit(text: str) -> float | Unfit:
    number = float(text)
    return number if math.isfinite(number) else Unfit(text if len(text) < _MAX_SHOWN else "1e999")


def _whole_or_unfit(text: str) -> int | float | Unfit:
    # As orjson does: what 64 bits cannot hold is a double. `int` would refuse thousands of digits.
    return int(text) if len(text) <= 18 else _number_or_unfit(text)


def _cut(raw: bytes) -> bytes:
    """Replace what is nested deeper than a parser goes by 0."""
    parts, depth, start = [], 0, 0
    for token in _TOKENS.finditer(raw):
        sign = token.group()
        if sign in {b"[", b"{"}:
            depth += 1
            if depth == _CUT_DEPTH + 1:
                parts.append(raw[start : token.start()])
        elif sign in {b"]", b"}"}:
            if depth == _CUT_DEPTH + 1:
                parts.append(b"0")
                start = token.end()
            depth -= 1
    return b"".join([*parts, raw[start:]])


def check(value: Any, field: str, *, max_bytes: int | None = None) -> bytes:
    """Return a parsed JSON value as JSON, if a database can hold it.

    Args:
        value: an object, list or scalar that `read_json` returned.
        field: its name in messages.
        max_bytes: of the JSON.

    Raises:
        BoundsError: it is nested deeper than `MAX_DEPTH` levels, or larger than `max_bytes`, or holds
            text that is not well-formed, U+0000, or a number that is not finite.
    """
    try:
        packed = orjson.dumps(value)
    except TypeError:
        raise _fault_of(value, field) from None
    if max_bytes is not None and len(packed) > max_bytes:
        raise BoundsError(field, "…", f"at most {max_bytes} bytes of JSON")
    if packed.count(b"[") + packed.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise _too_deep(field)
    # An escaped backslash makes this a rare false alarm.
    if b"\\u0000" in packed and (fault := _find_fault(value, field, 1)):
        raise fault
    return packed


def check_whole_numbers(value: Any, field: str) -> None:
    """Refuse a whole number that 64 bits cannot hold, at any depth of a JSON value.

    Raises:
        BoundsError: one of them is such a number, also as a double: each that large is whole.
    """
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            check_whole_numbers(entry, f"{field}.{str(key)[:_MAX_SHOWN]}")
    elif isinstance(value, int | float) and not MIN_WHOLE <= value <= MAX_WHOLE:
        raise _too_long(field, value)


def _too_long(field: str, value: float) -> BoundsError:
    rule = f"from {MIN_WHOLE} to {MAX_WHOLE}; a longer number can be a text"
    return BoundsError(field, value, rule)


def _is_too_deep(value: Any) -> bool:
    """Whether lists and objects are nested deeper than `MAX_DEPTH` levels."""
    level = [value] if isinstance(value, _NESTED) else []
    for _ in range(MAX_DEPTH):
        # Level by level: what is wide and flat, as actions with features are, is seen in one pass.
        level = [
            entry
            for one in level
            for entry in (one.values() if isinstance(one, dict) else one)
            if isinstance(entry, _NESTED)
        ]
        if not level:
            return False
    return True


def _too_deep(field: str) -> BoundsError:
    return BoundsError(field, "…", f"nested at most {MAX_DEPTH} levels deep", code="too_deep")


def _fault_of(value: Any, field: str) -> BoundsError:
    """Return what is wrong with a value that cannot be written."""
    return _find_fault(value, field, 1) or BoundsError(field, value, "a value of JSON")


def _find_fault(value: Any, field: str, level: int) -> BoundsError | None:
    """Return the first fault of a value, named by its path."""
    if isinstance(value, dict | list):
        if level > MAX_DEPTH:
            return _too_deep(field)
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            fault = _text_fault(key, field) if isinstance(key, str) else None
            name = str(key)[:_MAX_SHOWN]  # whole, a long one would be copied for each of its entries
            path = f"{field}.{name}" if level > 1 or field != "body" else name
            fault = fault or _find_fault(entry, path, level + 1)
            if fault is not None:
                return fault
        return None
    if isinstance(value, str):
        return _text_fault(value, field)
    return _number_fault(value, field)


def _number_fault(value: Any, field: str) -> BoundsError | None:
    if isinstance(value, Unfit):
        return BoundsError(field, value, "a finite number", code="not_json")
    too_long = isinstance(value, int) and not MIN_WHOLE <= value <= MAX_WHOLE
    return _too_long(field, value) if too_long else None


def _text_fault(value: str, field: str) -> BoundsError | None:
    if "\0" in value:
        return BoundsError(field, value, "a text without U+0000", code="nul_character")
    if not is_well_formed(value):
        return BoundsError(field, value, "well-formed Unicode", code="not_unicode")
    return None


def is_well_formed(value: str) -> bool:
    """Whether a text has no lone surrogate, which no encoding can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: Any, field: str, *, max_length: int = MAX_ID, min_length: int = 1) -> str:
    """Return a text of some length, of characters that can be stored.

    Raises:
        BoundsError: it is not such a text.
    """
    if not isinstance(value, str) or not min_length <= len(value) <= max_length:
        long = isinstance(value, str) and len(value) > max_length
        raise BoundsError(
            field,
            f"{value[:40]}… ({len(value)} characters)" if long else value,
            f"a text of {min_length} to {max_length} characters",
        )
    if fault := _text_fault(value, field):
        raise fault
    return value


def number(value: Any, field: str, *, low: float = -MAX_VALUE, high: float = MAX_VALUE) -> float:
    """Return a number within bounds, both included.

    Raises:
        BoundsError: it is not a number in bounds; true and false are not numbers.
    """
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not low <= value <= high:  # NaN is within no bounds
        raise BoundsError(field, value, f"a number in [{low:g}, {high:g}]")
    return float(value)


def is_decimal(written: str) -> bool:
    """Whether a text is a number as files write it: Python's `float` would also take 1_000 and nan."""
    return _DECIMAL.fullmatch(written.strip()) is not None


def decimal(value: Any, field: str) -> float:
    """Return a number that a file holds, as a number or as plain decimal digits.

    Raises:
        BoundsError: it is not a number; nor are "1_000", "1,000", "nan" and a blank.
    """
    if isinstance(value, str):
        value = float(value) if is_decimal(value) else value
    elif isinstance(value, Decimal):  # of a Parquet file
        value = float(value)
    return number(value, field)


def moment(value: Any, field: str) -> datetime:
    """Return a time in UTC; one without a zone is in UTC.

    Raises:
        BoundsError: it is no ISO 8601 text.
    """
    if isinstance(value, str) and len(value) <= 64:
        try:
            return _in_utc(datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            pass
    raise BoundsError(field, value, "an ISO 8601 time")


def past_moment(value: Any, field: str, *, now: datetime) -> datetime:
    """Return a time of a log: a date and time, ISO 8601, or seconds since 1970.

    Raises:
        BoundsError: it is not a time, or before 1990, or after now: as 20261101 and milliseconds are.
    """
    try:
        at = _as_moment(value, field)
    except (BoundsError, ValueError, OverflowError, OSError):
        at = None
    if at is None or not EARLIEST <= at <= now + FUTURE:
        rule = f"ISO 8601 or seconds since 1970, from {EARLIEST:%Y-%m-%d} to now"
        raise BoundsError(field, value, rule)
    return at


def _as_moment(value: Any, field: str) -> datetime:
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, str) and not is_decimal(value):
        return moment(value.strip(), field)
    return datetime.fromtimestamp(decimal(value, field), UTC)


def _in_utc(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
