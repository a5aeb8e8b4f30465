"""What kind of value each property of the items has, and which tests none of them could pass."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from experiments.assignment.comparisons import LIST_OPERATORS, OPERATORS
from experiments.slate_rules.leaves import tests_of
from experiments.slate_rules.rule_error import RuleError, short_repr

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME = 100  # of a key that is compared with the operators
_COMPARES = frozenset({"$eq", "$ne", "$lt", "$lte", "$gt", "$gte"})
_RULES = {"number": "a number", "text": "a text", "boolean": "true or false"}
# What an exact list is written with, and what nearly everybody means instead.
LIST_RULE = '{"$in": […]} for any of them, {"$all": […]} for all, or {"$eq": […]} for exactly this list'


class ValueKinds(Protocol):
    """Of which kind the values of one property are.

    Attributes:
        kind: 'number', 'text' (or lists of texts) or 'boolean', where all values are of it; '' where
            they differ or there are none.
        is_list: whether any value is a list.
        has_objects: whether any value is an object, or might be one, as there are no values yet.
    """

    @property
    def kind(self) -> str:
        """The one kind of all values."""
        ...

    @property
    def is_list(self) -> bool:
        """Whether any is a list."""
        ...

    @property
    def has_objects(self) -> bool:
        """Whether any is an object."""
        ...


@dataclass(frozen=True, slots=True)
class FixedKinds:
    """Kinds that are known without a column of values."""

    kind: str = ""
    is_list: bool = False
    has_objects: bool = False


# Of the fields that every item has.
STANDARD_KINDS: Mapping[str, FixedKinds] = {
    "title": FixedKinds("text"),
    "url": FixedKinds("text"),
    "image_url": FixedKinds("text"),
    "group_id": FixedKinds("text"),
    "price": FixedKinds("number"),
    "labels": FixedKinds("text", is_list=True),
}


def check_tests(kinds: ValueKinds, path: str, wanted: Any, field: str) -> None:
    """Refuse what is asked of a property's value where no value of its kind could pass.

    Args:
        kinds: of the property's values.
        path: of the property.
        wanted: what a filter asks of it.
        field: the rule's name in messages.

    Raises:
        RuleError: with the kind that the items have.
    """
    for test in tests_of(wanted):
        for value in _compared(test):
            if value is not None and not _fits(value, kinds):
                rule = _rule(kinds)
                message = f"{field}.{path} == {short_repr(value)}, must be {rule}.{_hint(value)}"
                raise RuleError(field, message)
        if isinstance(test, list) and kinds.is_list:
            raise RuleError(field, f"{field}.{path} == {short_repr(test)}, must be {LIST_RULE}.")


def _rule(kinds: ValueKinds) -> str:
    if not kinds.kind:
        return "a value, or an object of operators such as $lte"
    return f"{_RULES[kinds.kind]}, as the items have"


def _hint(value: Any) -> str:
    """Say which operator is meant, where an object or a list stands for a value."""
    if isinstance(value, list):
        return ' {"$in": […]} asks for any of them.'
    name = next(iter(value), "") if isinstance(value, dict) else ""
    near = difflib.get_close_matches(f"${name[:MAX_NAME]}", [*OPERATORS, *LIST_OPERATORS], n=1)
    return f" Did you mean '{near[0]}'?" if name and near else ""


def _compared(wanted: Any) -> list[Any]:
    """Return the values that a test of one operator compares; none where it asks something else."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        ((name, value),) = wanted.items()
        if name in _COMPARES:
            return [value]
        if name in LIST_OPERATORS and isinstance(value, list):
            return value
        if name == "$not":
            return [one for test in tests_of(value) for one in _compared(test)]
        if name.startswith("$"):
            return []
    return [wanted]


def _fits(value: Any, kinds: ValueKinds) -> bool:
    """Whether a value is of the kind that all values of a property have, as far as they have one."""
    if isinstance(value, dict) and value:
        return kinds.has_objects
    if not kinds.kind:
        return True
    if isinstance(value, list):  # the whole list
        return kinds.is_list
    return kind_of(value) == kinds.kind


def kind_of(value: Any) -> str:
    """Return the kind of a value; '' for a list, an object or null."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else ""
