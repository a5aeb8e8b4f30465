"""The tests that a filter asks of each property, whatever joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def leaves_of(condition: Any) -> Iterator[tuple[str, Any]]:
    """Return every path of a filter with what is asked of its value."""
    for name, wanted in condition.items():
        if name == "$not":
            yield from leaves_of(wanted)
        elif name in {"$and", "$or", "$nor"}:
            for one in wanted:
                yield from leaves_of(one)
        else:
            yield name, wanted


def tests_of(wanted: Any) -> list[Any]:
    """Return the tests of one value: as many as there are operators."""
    if isinstance(wanted, dict) and len(wanted) > 1 and all(key.startswith("$") for key in wanted):
        return [{name: value} for name, value in wanted.items()]
    return [wanted]


def texts_of(wanted: Any) -> list[str] | None:
    """Return the texts of which a value has to be one, where that is all that a test asks."""
    if isinstance(wanted, str):
        return [wanted]
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((name, value),) = wanted.items()
        if name == "$eq" and isinstance(value, str):
            return [value]
        if name == "$in" and isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value
    return None
