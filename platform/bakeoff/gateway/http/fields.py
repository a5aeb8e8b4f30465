"""Request types: what the fields of a body may be, declared once and checked in one step.

The body of a route is a frozen dataclass whose fields name their rules:

    @request_type
    class RatingRequest:
        ids: Ids = identifiers()
        item_id: str = rule(text())
        stars: int = rule(whole_number(1, 5), default=3)

`parse(RatingRequest, data)` reads the fields in this order and refuses the first that breaks its rule,
naming the value and the rule. Fields that are not declared are ignored: clients may send more.

Raises everywhere: BoundsError for a value that no lane takes, ApiError for the rules of a request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, dataclass_transform
from uuid import UUID

from bakeoff.gateway.http.errors import invalid
from experiments import bounds
from experiments.bounds import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")
# Takes a value and its field's name, and returns the value checked and converted.
Reader = Callable[[Any, str], T]
# An anonymous id or none, and a user's id or none; at least one of them.
Ids = tuple[str | None, str | None]

MAX_LIST = 1000
_REQUIRED = object()


class _Field(NamedTuple):
    """One field of a request type.

    Attributes:
        name: of the field.
        read: its rule.
        default: of a value that is missing or null; `_REQUIRED` lets the rule judge None.
        whole: whether the rule reads the whole body.
    """

    name: str
    read: Callable[..., Any]
    default: Any
    whole: bool


_FIELDS: dict[type, tuple[_Field, ...]] = {}  # by request type


def rule(read: Reader[Any], *, default: Any = _REQUIRED) -> Any:
    """Declare a field.

    Args:
        read: its rule; without a default it also reads None.
        default: stands for a value that is missing or null.
    """
    return dataclasses.field(metadata={"read": read, "default": default, "whole": False})


def body_rule(read: Callable[[Mapping[str, Any]], Any]) -> Any:
    """Declare a field whose rule reads the whole body."""
    return dataclasses.field(metadata={"read": read, "default": _REQUIRED, "whole": True})


def identifiers() -> Any:
    """Declare the field of `anonymous_id` and `unit_id`, of which one may be missing."""
    return body_rule(read_ids)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(rule, body_rule, identifiers)
)
def request_type(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass whose fields are declared by their rules."""
    # No slots: `parse` fills in `__dict__`.
    frozen: Any = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    _FIELDS[frozen] = tuple(_Field(one.name, **one.metadata) for one in dataclasses.fields(frozen))
    return cls


def parse(cls: type[T], data: Mapping[str, Any]) -> T:
    """Return a body as its request type."""
    request = object.__new__(cls)
    # Filled in directly: a frozen dataclass's own `__init__` takes longer than all checks together.
    values = request.__dict__
    for name, read, default, whole in _FIELDS[cls]:
        if whole:
            values[name] = read(data)
            continue
        value = data.get(name)
        values[name] = default if value is None and default is not _REQUIRED else read(value, name)
    return request


def read_ids(data: Mapping[str, Any]) -> Ids:
    """Return `anonymous_id` and `unit_id`, of which one may be missing."""
    anonymous = data.get("anonymous_id")
    if anonymous is not None:
        anonymous = bounds.text(anonymous, "anonymous_id")
        if data.get("unit_id") is None:
            return anonymous, None
    return anonymous, bounds.text(data.get("unit_id"), "unit_id")


def text(max_length: int = MAX_ID) -> Reader[str]:
    """Return the rule of a text of 1 to `max_length` characters."""

    def read(value: Any, name: str) -> str:
        return bounds.text(value, name, max_length=max_length)

    return read


def flag(value: Any, name: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise invalid(name, value, "true or false")
    return value


def whole_number(min_value: int, max_value: int) -> Reader[int]:
    """Return the rule of a whole number within bounds."""

    def read(value: Any, name: str) -> int:
        # True is an int to Python, and no number to anybody else.
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not min_value <= value <= max_value:
            raise invalid(name, value, f"a whole number in [{min_value}, {max_value}]")
        return int(value)

    return read


def number(value: Any, name: str) -> float:
    """Read a number of at most `bounds.MAX_VALUE` either way."""
    return bounds.number(value, name)


def list_of_ids(value: Any, name: str) -> list[str]:
    """Read a list of at most `MAX_LIST` ids."""
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise invalid(name, value, f"a list of at most {MAX_LIST} ids")
    for entry in value:
        # Not `bounds.text`: the whole body was checked for characters that cannot be stored.
        if not isinstance(entry, str) or not 1 <= len(entry) <= MAX_ID:
            raise invalid(name, entry, f"a text of 1 to {MAX_ID} characters")
    return value


def json_object(value: Any, name: str) -> dict[str, Any]:
    """Read an object; a missing one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, value, "an object")
    return value


def uuid(value: Any, name: str) -> str:
    """Read a UUID; returned in its canonical form."""
    # A longer text is no UUID in any of the forms that Python reads.
    if isinstance(value, str) and len(value) <= 64:
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise invalid(name, value, "a UUID")


def one_of(words: Sequence[str]) -> Reader[str]:
    """Return the rule of one of some words."""

    def read(value: Any, name: str) -> str:
        # A list or an object is compared like any other value, so that it is refused as one.
        if value not in words:
            raise invalid(name, value, f"one of {', '.join(words)}")
        return str(value)

    return read
