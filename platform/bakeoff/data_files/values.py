"""Values of a row of a file, checked as the fast lane checks them."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from experiments import bounds
from experiments.bounds import (
    MAX_ID,
    MAX_PROPERTIES_BYTES,
    MAX_TEXT,
    BoundsError,
    NotJsonError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


MAX_EXACT = 2.0**53  # from here on a float stands for more than one whole number


def is_blank(value: Any) -> bool:
    """Whether a cell is empty, or holds blanks alone; NaN is how Parquet files of pandas write that."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_sentences(value: Any) -> str:
    """Return a cell as text: a list by its parts, joined as sentences; a blank is empty."""
    if isinstance(value, list):
        return ". ".join(str(part) for part in value if not is_blank(part))
    return "" if is_blank(value) else str(value)


def properties_of(value: Any) -> dict[str, Any]:
    """Return properties from a column of JSON text, or of a Parquet struct; empty is none.

    Raises:
        BoundsError: it is no JSON object, or breaks a bound of properties.
    """
    if is_blank(value):
        return {}
    try:
        properties = value if isinstance(value, dict) else bounds.read_json(str(value).encode())
    except (NotJsonError, UnicodeEncodeError):
        properties = None
    if not isinstance(properties, dict):
        raise BoundsError("properties", value, "a JSON object")
    properties = {name: as_json_value(entry) for name, entry in properties.items()}
    bounds.check(properties, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    return properties


def as_json_value(value: Any) -> Any:
    """Return a value of a Parquet file as JSON has it."""
    if isinstance(value, dict):
        return {str(key): as_json_value(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [as_json_value(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    # JSON has no NaN, which is how Parquet files of pandas write a missing number.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def id_of(row: Mapping[str, Any], name: str, *, max_length: int = MAX_ID, min_length: int = 1) -> str:
    """Return an id, or another text of at least one character.

    Raises:
        BoundsError: it is missing, blank, longer than `max_length` or no well-formed text.
    """
    return bounds.text(name_of(row.get(name), name), name, max_length=max_length, min_length=min_length)


def name_of(value: Any, field: str) -> str:
    """Return a cell that names something, empty where it is blank.

    A Parquet file of pandas writes whole numbers with a point where a row lacks one: 7.0 names 7.

    Raises:
        BoundsError: it is a number that is not whole, or too large to be exact.
    """
    if is_blank(value):
        return ""
    if not isinstance(value, float | Decimal):
        return str(value)
    is_exact = math.isfinite(value) and (isinstance(value, Decimal) or abs(value) < MAX_EXACT)
    if not is_exact or value != int(value):
        raise BoundsError(field, value, "a text or a whole number")
    return str(int(value))


def text_of(row: Mapping[str, Any], name: str, *, max_length: int = MAX_TEXT) -> str:
    """Return a text, empty where the row has none; a list is joined as sentences.

    Raises:
        BoundsError: it is longer than `max_length`, or no well-formed text.
    """
    value = row.get(name)
    # Blanks stay in a text: the id of a labelled example is made of it.
    written = value if isinstance(value, str) else as_sentences(value)
    return bounds.text(written, name, max_length=max_length, min_length=0)
