"""Tests of an item's own times: `{"published_at": {"$gt": "2026-11-01T00:00:00Z"}}`."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.slate_rules.leaves import leaves_of, tests_of
from inference.serving.catalogue import TIME_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.serving.catalogue import Catalogue, Mask

# A time, as the sample of a value of the request: it is a text wherever a text is wanted.
SAMPLE = "2000-01-01T00:00:00Z"
_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "$lt": np.less,
    "$lte": np.less_equal,
    "$gt": np.greater,
    "$gte": np.greater_equal,
}
EXISTS = "$exists"
RULE = (
    "$lt, $lte, $gt or $gte of a time such as '2026-11-30T08:00:00Z' or '2026-11-30', "
    "or $exists of true or false"
)


def is_time_test(wanted: Any) -> bool:
    """Whether a test of one operator is one that a time can be asked."""
    if not isinstance(wanted, dict) or len(wanted) != 1:
        return False
    ((name, value),) = wanted.items()
    if name == EXISTS:
        return isinstance(value, bool)
    return name in _ORDERS and not math.isnan(seconds_of(value))


def asks_number(name: str, wanted: Any) -> bool:
    """Whether a number is compared with what has the name of a time: an item's property is meant."""
    return name in TIME_FIELDS and any(map(is_number_test, tests_of(wanted)))


def asks_any_number(condition: Mapping[str, Any]) -> bool:
    """Whether a filter does so anywhere."""
    return any(asks_number(name, wanted) for name, wanted in leaves_of(condition))


def asks_own(name: str, wanted: Any) -> bool:
    """Whether what has the name of a time is tested otherwise than a time or a number can be.

    Rules from before items had such times mean the items' property of that name.
    """
    return name in TIME_FIELDS and not all(
        is_time_test(test) or is_number_test(test) for test in tests_of(wanted)
    )


def is_number_test(wanted: Any) -> bool:
    """Whether a test of one operator compares a number, or numbers."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((name, value),) = wanted.items()
        if name in {"$in", "$nin"}:
            return isinstance(value, list) and bool(value) and all(map(_is_number, value))
        return name in {*_ORDERS, "$eq", "$ne"} and _is_number(value)
    return _is_number(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def seconds_of(value: Any) -> float:
    """Return a time in seconds since 1970, in UTC where it says no offset; NaN for what is none."""
    if not isinstance(value, str):
        return math.nan
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return math.nan
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def matching_times(catalogue: Catalogue, name: str, wanted: Mapping[str, Any]) -> Mask:
    """Return per row whether one of its times passes, (n,); what is missing is neither side of any.

    Args:
        catalogue: whose items.
        name: one of `TIME_FIELDS`.
        wanted: a test that `is_time_test` holds of.
    """
    times = catalogue.times(name, len(catalogue))
    ((operator, value),) = wanted.items()
    if operator == EXISTS:
        missing: Mask = np.isnan(times)
        return ~missing if value else missing
    with np.errstate(invalid="ignore"):  # what is missing is NaN, which has no order
        held: Mask = _ORDERS[operator](times, seconds_of(value))
    return held
