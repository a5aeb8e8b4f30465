"""What takes too long for an event loop before rules can be followed: found there, done in a thread.

A property that was never named is read from every item, and a test is asked of every distinct value; of
a million items that takes seconds. Guarantees: a column that a thread reads is seen by nobody before it
is complete, so the event loop alone changes what is served.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from experiments.slate_rules.context_values import composed_condition, fill
from experiments.slate_rules.filters import (
    about_lists,
    compares_numbers,
    test_of,
)
from experiments.slate_rules.leaves import leaves_of, tests_of, texts_of
from experiments.slate_rules.rules import VECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from experiments.slate_rules.columns import Column
    from experiments.slate_rules.filters import Filters
    from experiments.slate_rules.rules import SlateRules

    Work = Callable[[], object]

MAX_AT_ONCE = 2000  # rows that are read, or values that are tested, within the event loop: 2 to 4 ms


def work_for(filters: Filters, rules: SlateRules, context: Mapping[str, Any]) -> list[Work]:
    """Return what is to be done in a thread before rules are bound; nearly always nothing.

    What is done may bring up more: of a column that was not read it is not known which tests it needs.

    Args:
        filters: of the project's catalogue.
        rules: to be followed.
        context: the request's.
    """
    if len(filters.catalogue) <= MAX_AT_ONCE:
        return []
    work: list[Work] = []
    for condition in rules.conditions:
        work += work_for_condition(filters, condition, context)
    by = rules.diversity.by if rules.diversity is not None else VECTORS
    for path in (*rules.caps, *(() if by == VECTORS else (by,))):
        column = filters.read_column(path)
        unlisted = column is not None and column.values_unlisted > MAX_AT_ONCE
        if unlisted or _is_to_be_read(filters, path, column):
            work.append(partial(filters.read_anew, path, listed=True))
    return work


def work_for_condition(
    filters: Filters, condition: Mapping[str, Any], context: Mapping[str, Any]
) -> list[Work]:
    """Return what is to be done in a thread before a filter is asked for."""
    if len(filters.catalogue) <= MAX_AT_ONCE:
        return []
    unread = dict.fromkeys(
        path
        for path, _ in _leaves(condition)
        if _is_to_be_read(filters, path, filters.read_column(path))
    )
    if unread:
        return [partial(filters.read_anew, path) for path in unread]
    work: list[Work] = []
    if any(_is_wide(filters.read_column(path)) for path, _ in _leaves(condition)):
        for path, wanted in _leaves(composed_condition(fill(condition, context))):
            column = filters.read_column(path)
            if column is not None and _is_wide(column):
                work += _work_for_test(column, wanted)
    return work


def _is_to_be_read(filters: Filters, path: str, column: Column | None) -> bool:
    """Whether a property is to be read; not one that no item has: it has no values."""
    if column is None:
        return filters.is_known(path)
    return column.rows_behind(filters.catalogue) > MAX_AT_ONCE


def _is_wide(column: Column | None) -> bool:
    return column is not None and len(column.values) > MAX_AT_ONCE


def _work_for_test(column: Column, wanted: Any) -> list[Work]:
    wanted = about_lists(wanted) if column.is_list else wanted
    if compares_numbers(column, wanted) or (not column.is_list and texts_of(wanted) is not None):
        return []
    key = orjson.dumps(wanted)
    if column.values_untested(key) <= MAX_AT_ONCE:
        return []
    return [partial(column.answer, key, test_of(wanted))]


def _leaves(condition: Any) -> Iterator[tuple[str, Any]]:
    """Return every path of a filter with each test of it."""
    for name, wanted in leaves_of(condition):
        for test in tests_of(wanted):
            yield name, test
