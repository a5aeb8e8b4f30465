"""How values compare: as in JavaScript, where GrowthBook's SDKs run.

A missing value is null, and orders like 0. Each operator takes the wanted value and returns a test.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Predicate = Callable[[Any], bool]

TYPES = ("string", "number", "boolean", "array", "object", "null")


def never(_value: Any) -> bool:
    """Be false: what a malformed part of a lenient condition is."""
    return False


def type_of(value: Any) -> str:
    """Return the name of a value's JSON type."""
    for name, kinds in (
        ("null", type(None)), ("boolean", bool), ("number", (int, float)), ("string", str),
        ("array", (list, tuple)), ("object", dict),
    ):  # fmt: skip
        if isinstance(value, kinds):
            return name
    return "unknown"


def same(actual: Any, wanted: Any) -> bool:
    """Compare literally: types must be the same all the way down, and lists in order."""
    kind = type_of(actual)
    if kind != type_of(wanted):
        return False
    if kind in {"array", "object"}:
        return json.dumps(actual, default=str) == json.dumps(wanted, default=str)
    return bool(actual == wanted)


def _equal(wanted: Any) -> Predicate:
    if type_of(wanted) in {"array", "object"}:  # JavaScript compares these by identity
        return never
    return lambda actual: same(actual, wanted)


def _unequal(wanted: Any) -> Predicate:
    equal = _equal(wanted)
    return lambda actual: not equal(actual)


def _number(value: Any) -> float:
    """Return what JavaScript makes of a value where a number is wanted; NaN for what is none."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value.strip() or "0")
        except ValueError:
            return math.nan
    return math.nan


def _order(*signs: int) -> Callable[[Any], Predicate]:
    """Return an operator that holds where the order of actual and wanted is one of the signs."""

    def operator(wanted: Any) -> Predicate:
        words = isinstance(wanted, str)
        number = _number(wanted)

        def test(actual: Any) -> bool:
            if words and isinstance(actual, str):
                # JavaScript orders texts by their UTF-16 units.
                a: Any = actual.encode("utf-16-be", "surrogatepass")
                b: Any = wanted.encode("utf-16-be", "surrogatepass")
            else:
                a, b = _number(actual), number
            return (a > b) - (a < b) in signs and a == a and b == b  # noqa: PLR0124  NaN has no order

        return test

    return operator


def _version(value: Any) -> str:
    """Return a version so that versions sort as text: numbers padded, releases after pre-releases."""
    text = f"{value:g}" if type_of(value) == "number" else value
    text = text if isinstance(text, str) and text else "0"
    parts = text.removeprefix("v").partition("+")[0].replace("-", ".").split(".")
    # A release sorts after its pre-releases: "~" is behind every letter and digit.
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if part.isdigit() else part for part in parts)


def _version_order(*signs: int) -> Callable[[Any], Predicate]:
    def operator(wanted: Any) -> Predicate:
        b = _version(wanted)

        def test(actual: Any) -> bool:
            a = _version(actual)
            return (a > b) - (a < b) in signs

        return test

    return operator


def _exists(wanted: Any) -> Predicate:
    return lambda actual: (actual is not None) == bool(wanted)


def fold(value: Any) -> Any:
    """Return a text in lower case, and anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def is_in(values: Sequence[Any], actual: Any) -> bool:
    """Whether a value, or one of a list of them, is among others of its own type."""
    every = actual if isinstance(actual, list) else [actual]
    return any(
        type_of(one) not in {"array", "object"} and same(one, value)
        for one in every
        for value in values
    )


def _list_test(*, folded: bool, inside: bool) -> Callable[[list[Any]], Predicate]:
    def operator(wanted: list[Any]) -> Predicate:
        values = [fold(one) for one in wanted] if folded else wanted
        # Lists of ids may be long: one look-up instead of a comparison with each.
        words = frozenset(values) if all(isinstance(one, str) for one in values) else None

        def test(actual: Any) -> bool:
            if folded:
                actual = [fold(one) for one in actual] if isinstance(actual, list) else fold(actual)
            if words is not None and isinstance(actual, str):
                return (actual in words) == inside
            return is_in(values, actual) == inside

        return test

    return operator


# By name, the operators that take any value, and those that take a list.
OPERATORS: dict[str, Callable[[Any], Predicate]] = {
    "$eq": _equal,
    "$ne": _unequal,
    "$lt": _order(-1),
    "$lte": _order(-1, 0),
    "$gt": _order(1),
    "$gte": _order(0, 1),
    "$veq": _version_order(0),
    "$vne": _version_order(-1, 1),
    "$vlt": _version_order(-1),
    "$vlte": _version_order(-1, 0),
    "$vgt": _version_order(1),
    "$vgte": _version_order(0, 1),
    "$exists": _exists,
}
LIST_OPERATORS: dict[str, Callable[[list[Any]], Predicate]] = {
    "$in": _list_test(folded=False, inside=True),
    "$nin": _list_test(folded=False, inside=False),
    "$ini": _list_test(folded=True, inside=True),
    "$nini": _list_test(folded=True, inside=False),
}
