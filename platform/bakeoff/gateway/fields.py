"""Read the fields of a request: every check answers with the value and the rule."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bakeoff.gateway.errors import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ID = 200
MOST_NAME = 100
MOST_LIST = 1000
PAST = timedelta(days=30)
FUTURE = timedelta(minutes=5)


def text(data: Mapping[str, Any], name: str, *, most: int = MOST_ID) -> str:
    """Return a required text of 1 to `most` characters."""
    value = data.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise invalid(name, value, f"a text of 1 to {most} characters")
    return value


def optional_text(data: Mapping[str, Any], name: str, *, most: int = MOST_ID) -> str | None:
    """Return a text, or None when it is missing or null."""
    return None if data.get(name) is None else text(data, name, most=most)


def unit(data: Mapping[str, Any]) -> str:
    """Return the unit: `unit_id`, or else `anonymous_id`."""
    if data.get("unit_id") is None and data.get("anonymous_id") is not None:
        return text(data, "anonymous_id")
    return text(data, "unit_id")


def whole_number(data: Mapping[str, Any], name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(name, value, f"a whole number in [{least}, {most}]")
    return value


def number(data: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number, or None when it is missing or null."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise invalid(name, value, "a finite number")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any double
        return False


def texts(data: Mapping[str, Any], name: str) -> list[str] | None:
    """Return a list of ids, or None when it is missing or null."""
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_LIST:
        raise invalid(name, value, f"a list of at most {MOST_LIST} ids")
    for entry in value:
        if not isinstance(entry, str) or not 1 <= len(entry) <= MOST_ID:
            raise invalid(name, entry, f"a text of 1 to {MOST_ID} characters")
    return value


def mapping(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object, or an empty one when it is missing or null."""
    value = data.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, value, "an object")
    return value


def uuid(data: Mapping[str, Any], name: str) -> str | None:
    """Return a UUID in its canonical form, or None when it is missing or null."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= 64:
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise invalid(name, value, "a UUID")


def occurred_at(data: Mapping[str, Any], received: datetime) -> str:
    """Return when an event happened, as ISO 8601; now when it does not say."""
    value = data.get("occurred_at")
    if value is None:
        return received.isoformat()
    if not isinstance(value, str) or len(value) > 64:
        raise invalid("occurred_at", value, "an ISO 8601 time")
    try:
        at = datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        inside = received - PAST <= at <= received + FUTURE
    except (ValueError, OverflowError):
        raise invalid("occurred_at", value, "an ISO 8601 time") from None
    if not inside:
        raise ApiError(
            400,
            "occurred_at_out_of_range",
            f"occurred_at == {value}, must be within 30 days before and 5 minutes after its receipt.",
            field="occurred_at",
        )
    return at.astimezone(UTC).isoformat()


def one_of(data: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    """Return one of some words."""
    value = data.get(name)
    if value not in allowed:
        raise invalid(name, value, f"one of {', '.join(allowed)}")
    return str(value)
