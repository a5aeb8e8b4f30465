"""Filters over items, in the language of targeting: `{"price": {"$lte": 50}, "labels": "shoes"}`.

As in targeting, with three differences that lists of items need: a value of a list matches when the
list holds it; what an item does not have is neither less nor more than anything; and a value may be
the request's, `{"$context": "country"}`, whose part counts for nothing when the request has none.
"""

from __future__ import annotations

import difflib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from experiments.assignment.comparisons import LIST_OPERATORS
from experiments.assignment.conditions import ConditionError, compile_condition
from experiments.slate_rules.columns import Column
from experiments.slate_rules.context_values import composed_condition, fill
from experiments.slate_rules.item_times import (
    RULE,
    SAMPLE,
    asks_any_number,
    asks_number,
    asks_own,
    is_time_test,
    matching_times,
)
from experiments.slate_rules.leaves import leaves_of, tests_of, texts_of
from experiments.slate_rules.rule_error import RuleError, short_repr
from experiments.slate_rules.value_kinds import STANDARD_KINDS, check_tests
from inference.serving.catalogue import STANDARD_FIELDS, TIME_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from experiments.slate_rules.value_kinds import ValueKinds
    from inference.serving.catalogue import Catalogue, Mask

# Beside the properties: looked up by name, as a column of a million distinct values is no column.
ITEM_ID = "item_id"
BUILT_IN = frozenset({ITEM_ID, *TIME_FIELDS})  # what every item has, without a column
# What an answer says of each item, whatever the catalogue says.
ANSWER_FIELDS = frozenset({ITEM_ID, "position", "score", "because", "properties"})
MAX_FILTER_BYTES = 8192
MAX_NAME, MAX_NAMES = 100, 500  # of properties, where a wrong one is compared with them
MAX_COLUMNS = 256  # properties that are held per catalogue
MAX_FILTERS = 512  # remembered per catalogue
_ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "$lt": np.less,
    "$lte": np.less_equal,
    "$gt": np.greater,
    "$gte": np.greater_equal,
}


def check_condition(condition: Any, field: str, *, stored: bool = False) -> None:
    """Refuse a filter that no request could follow.

    Args:
        condition: the filter.
        field: its name in messages.
        stored: whether it was saved: one from before items had times goes on meaning their property.

    Raises:
        RuleError: it is no condition, or a value of the request is named by no text.
    """
    _compile(_sampled(condition, field), field, stored=stored)


def own_times(condition: Mapping[str, Any]) -> list[str]:
    """Return the names of times that a stored filter means as properties of the items."""
    leaves = leaves_of(_sampled(condition, ""))
    return sorted({name for name, wanted in leaves if asks_own(name, wanted)})


def _compile(condition: Any, field: str, *, stored: bool = False) -> None:
    try:
        compile_condition(condition)
    except ConditionError as error:
        raise RuleError(field, f"{field}: {error}") from error
    _check_ids(condition, field, stored=stored)


def _check_ids(condition: Mapping[str, Any], field: str, *, stored: bool) -> None:
    """Refuse a test of an item's id other than which it is, and of its times other than their order."""
    for name, wanted in leaves_of(condition):
        if name == ITEM_ID and any(_names_in(test) is None for test in tests_of(wanted)):
            rule = "a text, or $eq, $ne, $in or $nin of texts"
            raise RuleError(field, f"{field}.{ITEM_ID} == {short_repr(wanted)}, must be {rule}.")
        if not stored and asks_own(name, wanted):
            raise _no_time(field, name, wanted)


def _no_time(field: str, name: str, wanted: Any) -> RuleError:
    return RuleError(field, f"{field}.{name} == {short_repr(wanted)}, must be {RULE}.")


def _sampled(value: Any, field: str, operator: str = "") -> Any:
    """Return a condition with a value of the right kind in each place of the request's."""
    if isinstance(value, dict):
        if "$context" in value:
            if len(value) > 1 or not isinstance(value["$context"], str):
                raise RuleError(field, f"{field}: $context must name one value of the context.")
            return [] if operator in LIST_OPERATORS else SAMPLE
        return {key: _sampled(one, field, key) for key, one in value.items()}
    return [_sampled(one, field) for one in value] if isinstance(value, list) else value


class Filters:
    """The columns of one catalogue, and the filters that were asked for lately.

    Attributes:
        catalogue: whose items.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        """Begin without columns."""
        self.catalogue = catalogue
        self._columns: dict[str, Column] = {}
        self._masks: dict[bytes, Mask] = {}
        self._checked: set[bytes] = set()
        # A thread that reads a million rows, and whoever puts a column where all look for it.
        self._reading, self._holding = threading.Lock(), threading.Lock()
        self._change = -1

    def mask(self, condition: Mapping[str, Any], context: Mapping[str, Any]) -> Mask:
        """Return per row of the catalogue whether an item matches, (n,).

        A property that no item has is missing everywhere: a filter outlives its items.

        Args:
            condition: the filter, which `check_condition` takes.
            context: the request's.

        Raises:
            RuleError: a value of the context is of a kind that its place does not take.
        """
        self._follow()
        stored, condition = condition, composed_condition(fill(condition, context))
        key = orjson.dumps(condition)
        mask = self._masks.get(key)
        if mask is None or len(mask) != len(self.catalogue):
            # What the request put in may be of another kind.
            _compile(condition, "context", stored=bool(own_times(stored)))
            if not asks_any_number(stored):
                self._require_times(condition, "context")
            mask = self._all_of(condition)
            if len(self._masks) >= MAX_FILTERS:
                self._masks.pop(next(iter(self._masks)))
            self._masks[key] = mask
        return mask

    def require(self, condition: Mapping[str, Any], context: Mapping[str, Any], field: str) -> None:
        """Refuse a filter that finds nothing because of what it says.

        Args:
            condition: the filter, which `check_condition` takes.
            context: the request's.
            field: its name in messages.

        Raises:
            RuleError: it names a property that no item has had, or compares it with another kind.
        """
        self._follow()
        condition = composed_condition(fill(condition, context))
        key = orjson.dumps(condition)
        if key in self._checked:
            return
        _compile(condition, "context")
        self._require(condition, field)
        if len(self._checked) >= MAX_FILTERS:
            self._checked.clear()
        self._checked.add(key)

    def _follow(self) -> None:
        """Forget masks and checks once the items have changed."""
        if self._change != self.catalogue.change:
            self._masks.clear()
            self._checked.clear()
            self._change = self.catalogue.change

    def _require_times(self, condition: Mapping[str, Any], field: str) -> None:
        """Refuse a number in a time's place, unless items have a property of the time's name."""
        for name, wanted in leaves_of(condition):
            if asks_number(name, wanted) and not self.is_known(name):
                raise _no_time(field, name, wanted)

    def _require(self, condition: Mapping[str, Any], field: str) -> None:
        self._require_times(condition, field)
        for name, wanted in leaves_of(condition):
            if name not in BUILT_IN:
                self.require_known(name, field)
                check_tests(self._kinds(name), name, wanted, field)

    def _kinds(self, path: str) -> ValueKinds:
        column = self.column(path)
        return column if len(column.values) > 1 else STANDARD_KINDS.get(path, column)

    def column(self, path: str) -> Column:
        """Return a property of every row, up to date."""
        column = self._columns.get(path)
        if column is None:
            column = Column(path)
            self._hold(path, column)
        column.update(self.catalogue)
        return column

    def read_column(self, path: str) -> Column | None:
        """Return a property of the rows as they were read last; None where it never was."""
        return self._columns.get(path)

    def read_anew(self, path: str, *, listed: bool = False) -> None:
        """Read a property of every row in a thread beside the event loop, and hold it when complete.

        Args:
            path: of the property.
            listed: whether its values are wanted by codes within lists.
        """
        with self._reading:  # requests that come meanwhile ask for the same
            column = self._columns.get(path)
            is_listed = column is not None and not (listed and column.values_unlisted)
            if column is not None and is_listed and not column.rows_behind(self.catalogue):
                return
            column = Column(path)
            column.update(self.catalogue)
            if listed:
                column.list_values()
            self._hold(path, column)

    def _hold(self, path: str, column: Column) -> None:
        with self._holding:
            if len(self._columns) >= MAX_COLUMNS and path not in self._columns:
                self._columns.pop(next(iter(self._columns)))
            self._columns[path] = column

    def is_known(self, path: str) -> bool:
        """Whether any item has a property, or has had it."""
        return self.catalogue.has_property(property_of(path))

    def require_known(self, path: str, field: str) -> None:
        """Refuse a property that no item has or has had: the last one to be sold out may come back.

        Raises:
            RuleError: with the nearest there is.
        """
        if not self.is_known(path):
            raise unknown_property(path, field, self.catalogue.property_names)

    def require_field(self, name: str) -> None:
        """Refuse a field of an answer that nearly has the name of one that items have.

        One that resembles none is passed over: its items may be yet to come.

        Raises:
            RuleError: with the name that is meant.
        """
        key = b"field " + name.encode()
        if name in ANSWER_FIELDS or self.is_known(name) or key in self._checked:
            return
        names = sorted({*self.catalogue.property_names, *STANDARD_FIELDS})[:MAX_NAMES]
        near = difflib.get_close_matches(name[:MAX_NAME], names, n=1, cutoff=0.8)
        if near:
            message = f"fields: no item has a property '{name[:80]}'. Did you mean '{near[0]}'?"
            raise RuleError("fields", message)
        if len(self._checked) >= MAX_FILTERS:
            self._checked.clear()
        self._checked.add(key)

    def _all_of(self, condition: Mapping[str, Any]) -> Mask:
        mask = np.ones(len(self.catalogue), dtype=bool)
        for name, wanted in condition.items():
            mask &= self._entry(name, wanted)
        return mask

    def _entry(self, name: str, wanted: Any) -> Mask:
        if name == "$not":
            return ~self._all_of(wanted)
        if name == "$and":
            return _joined([self._all_of(one) for one in wanted], np.logical_and, empty=True)
        if name in {"$or", "$nor"}:
            # As in targeting: none of no conditions is refused, one of none holds.
            either = _joined([self._all_of(one) for one in wanted], np.logical_or, empty=True)
            return ~either if name == "$nor" and wanted else either
        return self._leaf(name, wanted)

    def _leaf(self, path: str, wanted: Any) -> Mask:
        """Return for which rows the value of one property passes."""
        tests = tests_of(wanted)
        if len(tests) > 1:
            every: Mask = np.logical_and.reduce([self._leaf(path, test) for test in tests])
            return every
        if path == ITEM_ID:
            return self._named(wanted)
        if path in TIME_FIELDS and is_time_test(wanted):
            return matching_times(self.catalogue, path, wanted)
        column, count = self.column(path), len(self.catalogue)
        if compares_numbers(column, wanted):
            order, bound = _order_of(wanted)
            assert order is not None  # noqa: S101  it has just been looked at
            with np.errstate(invalid="ignore"):  # what is missing is NaN, which has no order
                held: Mask = order(column.numbers(count), bound)
            return held
        wanted = about_lists(wanted) if column.is_list else wanted
        texts = None if column.is_list else texts_of(wanted)
        if texts is not None:  # a million names of groups are not asked one by one
            return column.equal_to(texts, count)
        return column.matches(orjson.dumps(wanted), test_of(wanted), count)

    def _named(self, wanted: Any) -> Mask:
        """Return for which rows the item is one of some, or none of them."""
        names, others = _names_in(wanted) or ((), False)
        mask = np.full(len(self.catalogue), others)
        rows = [row for name in names if (row := self.catalogue.find(name)) is not None]
        mask[[row for row in rows if row < len(mask)]] = not others  # more may have come meanwhile
        return mask


def unknown_property(path: str, field: str, names: Collection[str]) -> RuleError:
    """Return the refusal of a property that no item has, with the nearest there is.

    Args:
        path: which the rule names.
        field: the rule.
        names: properties that items have, beside the fields of each.
    """
    name = property_of(path)[:MAX_NAME]  # it is compared letter by letter, within the event loop
    # Of times there are filters, and neither caps nor diversity.
    times = () if field in {"caps", "diversity"} else TIME_FIELDS
    if path in times:  # a number was in its place
        return RuleError(field, f"{field}.{path} must be {RULE}: no property of items has this name.")
    known = sorted({*names, *STANDARD_FIELDS, *times})[:MAX_NAMES]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known are {known[:20]}."
    return RuleError(field, f"{field}: no item has a property '{name[:80]}'. {hint}")


def property_of(path: str) -> str:
    """Return the property that a path begins with."""
    return path.split(".", maxsplit=1)[0]


def _names_in(wanted: Any) -> tuple[list[str], bool] | None:
    """Return the ids that a test names, and whether it asks for all others; None for another test."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((operator, value),) = wanted.items()
        names = texts_of({{"$ne": "$eq", "$nin": "$in"}.get(operator, operator): value})
        return None if names is None else (names, operator in {"$ne", "$nin"})
    return ([wanted], False) if isinstance(wanted, str) else None


def compares_numbers(column: Column, wanted: Any) -> bool:
    """Whether a test is an order among numbers: all are compared at once."""
    order, bound = _order_of(wanted)
    return order is not None and isinstance(bound, int | float) and column.is_number


def test_of(wanted: Any) -> Callable[[Any], bool]:
    """Return the test of one value that a condition asks for."""
    order, _ = _order_of(wanted)
    compiled = compile_condition({"value": wanted})

    def test(value: Any) -> bool:
        return not (value is None and order is not None) and compiled({"value": value})

    return test


def _joined(masks: list[Mask], how: Any, *, empty: bool) -> Mask | Any:
    return how.reduce(masks) if masks else np.bool_(empty)


def _order_of(wanted: Any) -> tuple[Callable[[Any, Any], Any] | None, Any]:
    """Return the order that a test of one operator asks for, and its bound."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((name, bound),) = wanted.items()
        return _ORDERS.get(name), bound
    return None, None


def about_lists(wanted: Any) -> Any:
    """Return a test of lists: a plain value asks whether the list holds it."""
    if isinstance(wanted, str | int | float | bool):
        return {"$elemMatch": {"$eq": wanted}}
    if isinstance(wanted, dict) and "$eq" in wanted:
        return about_lists(wanted["$eq"])
    if isinstance(wanted, dict) and "$ne" in wanted:
        return {"$not": about_lists(wanted["$ne"])}
    return wanted
