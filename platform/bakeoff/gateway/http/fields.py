"""Read the fields of a request: every check answers with the value and the rule.

Raises everywhere: BoundsError for a value that no lane takes, ApiError for the rules of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bakeoff.gateway.http.errors import ApiError, invalid
from experiments import bounds
from experiments.bounds import FUTURE, MAX_ID, PAST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

MAX_LIST = 1000


def text(data: Mapping[str, Any], name: str, *, max_length: int = MAX_ID) -> str:
    """Return a required text of 1 to `max_length` characters."""
    return bounds.text(data.get(name), name, max_length=max_length)


def optional_text(data: Mapping[str, Any], name: str, *, max_length: int = MAX_ID) -> str | None:
    """Return a text, or None when it is missing or null."""
    return None if data.get(name) is None else text(data, name, max_length=max_length)


def ids(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return `anonymous_id` and `unit_id`, of which one may be missing."""
    anonymous = optional_text(data, "anonymous_id")
    if anonymous is not None and data.get("unit_id") is None:
        return anonymous, None
    return anonymous, text(data, "unit_id")


def flag(data: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return true or false, or the default when it is missing or null."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(name, value, "true or false")
    return value


def whole_number(
    data: Mapping[str, Any], name: str, default: int, *, min_value: int, max_value: int
) -> int:
    """Return a whole number within bounds."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not min_value <= value <= max_value:
        raise invalid(name, value, f"a whole number in [{min_value}, {max_value}]")
    return value


def number(data: Mapping[str, Any], name: str) -> float | None:
    """Return a number of at most `bounds.MAX_VALUE` either way, or None when it is missing or null."""
    value = data.get(name)
    return None if value is None else bounds.number(value, name)


def texts(data: Mapping[str, Any], name: str) -> list[str] | None:
    """Return a list of ids, or None when it is missing or null."""
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise invalid(name, value, f"a list of at most {MAX_LIST} ids")
    for entry in value:
        if not isinstance(entry, str) or not 1 <= len(entry) <= MAX_ID:
            raise invalid(name, entry, f"a text of 1 to {MAX_ID} characters")
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


def moment(data: Mapping[str, Any], name: str) -> datetime | None:
    """Return a time, in UTC if it names no zone, or None when it is missing or null."""
    value = data.get(name)
    return None if value is None else bounds.moment(value, name)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a request came, and how far its sender's clock is off.

    Attributes:
        received: by our clock.
        skew: our clock less the sender's when it sent; nothing when it did not say.
    """

    received: datetime
    skew: timedelta | None = None

    @classmethod
    def of(cls, received: datetime, sent: datetime | None) -> Clock:
        """Compare the clocks."""
        return cls(received, None if sent is None else received - sent)

    def occurred(self, data: Mapping[str, Any], name: str) -> tuple[datetime, datetime | None]:
        """Return when something happened by our clock, and what its sender said if that differs.

        Raises:
            ApiError: it is no time, or out of range.
        """
        claimed = moment(data, name)
        if claimed is None:
            return self.received, None
        try:
            at = claimed if self.skew is None else claimed + self.skew
            inside = self.received - PAST <= at <= self.received + FUTURE
        except OverflowError:
            inside = False
        if not inside:
            raise ApiError(
                400,
                "occurred_at_out_of_range",
                f"{name} == {data[name]}, must be within 30 days before and 5 minutes after its "
                "receipt.",
                field=name,
            )
        return at, None if at == claimed else claimed


def one_of(data: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    """Return one of some words."""
    value = data.get(name)
    if value not in allowed:
        raise invalid(name, value, f"one of {', '.join(allowed)}")
    return str(value)
