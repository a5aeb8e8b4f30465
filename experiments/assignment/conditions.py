"""Conditions over attributes, in the MongoDB-style language that GrowthBook's SDKs evaluate.

A condition is JSON: `{"country": {"$in": ["DE", "AT"]}, "$or": [{"age": {"$gte": 18}}, {"staff": 1}]}`.
It is compiled once into a predicate. Strict compiling, as when a condition is saved, refuses what no
evaluator could follow; lenient compiling, as for somebody else's payload, makes such a part false.
Regular expressions are RE2's, which run in time linear in the text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

from .comparisons import (
    LIST_OPERATORS,
    OPERATORS,
    TYPES,
    fold,
    is_in,
    never,
    same,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Predicate = Callable[[Any], bool]
    Groups = Mapping[str, Any]

# Far above what people write, far below where Python's own recursion ends.
MAX_DEPTH = 20
MAX_LEVELS = 64  # of the JSON: twenty conditions in each other, and the values in the innermost
MAX_PARTS = 10_000  # conditions and tests, those of saved groups counted wherever they are named
# RE2 compiles in time and memory that grow with the pattern.
MAX_PATTERN = 1000
_LOGICAL = frozenset({"$and", "$or", "$nor", "$savedGroup"})


class ConditionError(ValueError):
    """A condition that cannot be evaluated; the message names the value and the rule."""


def compile_condition(
    condition: Any, groups: Groups | None = None, *, strict: bool = True
) -> Callable[[Mapping[str, Any]], bool]:
    """Return a predicate over attributes.

    Args:
        condition: the JSON object.
        groups: saved groups by id: lists of values, or objects of type `list` or `condition`.
        strict: whether what is malformed is refused, or false.

    Raises:
        ConditionError: strict, and it is malformed.
    """
    return _Compiler(groups or {}, strict=strict, budget=_Budget()).whole(condition, 0)


class _TooLargeError(Exception):
    """The parts together are more than `MAX_PARTS`."""


@dataclass(slots=True)
class _Budget:
    """How many parts may still be compiled: groups that name groups grow like powers of two."""

    left: int = MAX_PARTS

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _TooLargeError


def levels_of(value: Any, max_levels: int = MAX_LEVELS) -> int:
    """Return how deep lists and objects are nested in a value; `max_levels` + 1 if deeper."""
    level, inside = 0, [value]
    while inside and level <= max_levels:
        level += 1
        inside = [
            one
            for outer in inside
            if isinstance(outer, dict | list | tuple)
            for one in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(one, dict | list | tuple)
        ]
    return level


class _Compiler:
    """Compiles one condition with the groups that it may name."""

    def __init__(
        self,
        groups: Groups,
        *,
        strict: bool,
        budget: _Budget,
        visited: frozenset[str] = frozenset(),
    ) -> None:
        self._groups, self._strict, self._visited = groups, strict, visited
        self._budget = budget

    def whole(self, condition: Any, depth: int) -> Predicate:
        """Compile a whole condition, the saved group's or the one that was asked for."""
        # Before anything recurses: Python's own limit would be met at save, at reload or at the answer.
        if levels_of(condition) > MAX_LEVELS:
            return self.refuse(f"condition is nested deeper than {MAX_LEVELS} levels of JSON.")
        try:
            return self.condition(condition, depth)
        except _TooLargeError:
            if depth:  # the outermost one knows that all of it is too large
                raise
            return self.refuse(
                f"condition has more than {MAX_PARTS} parts, its saved groups' included."
            )

    def refuse(self, message: str) -> Predicate:
        if self._strict:
            raise ConditionError(message)
        return never

    def condition(self, condition: Any, depth: int) -> Predicate:
        self._budget.take()
        if not isinstance(condition, dict):
            return self.refuse(f"condition == {_short(condition)}, must be an object.")
        if depth > MAX_DEPTH:
            return self.refuse(f"condition is nested deeper than {MAX_DEPTH}.")
        parts = [self._entry(key, value, depth) for key, value in condition.items()]
        if len(parts) == 1:
            return parts[0]
        return lambda attributes: all(part(attributes) for part in parts)

    def _entry(self, key: str, value: Any, depth: int) -> Predicate:
        if key in ("$or", "$nor", "$and"):
            return self._several(key, value, depth)
        if key == "$not":
            inner = self.condition(value, depth + 1)
            return lambda attributes: not inner(attributes)
        if key == "$savedGroup":
            return self._saved_group(value, depth)
        if key.startswith("$") and self._strict:
            raise ConditionError(
                f"'{key}' stands where an attribute's name is expected: only $and, $or, $nor, $not "
                "and $savedGroup may."
            )
        test, read = self.value(value, depth), _reader(key)
        return lambda attributes: test(read(attributes))

    def _several(self, key: str, value: Any, depth: int) -> Predicate:
        if not isinstance(value, list):
            return self.refuse(f"{key} == {_short(value)}, must be a list of conditions.")
        parts = [self.condition(part, depth + 1) for part in value]
        if key == "$and":
            return lambda attributes: all(part(attributes) for part in parts)
        if key == "$or":
            return lambda attributes: not parts or any(part(attributes) for part in parts)
        return lambda attributes: bool(parts) and not any(part(attributes) for part in parts)

    def _saved_group(self, reference: Any, depth: int) -> Predicate:
        name = reference.get("id") if isinstance(reference, dict) else None
        group = self._groups.get(name) if isinstance(name, str) else None
        if not isinstance(group, dict) or name in self._visited:
            return self.refuse(f"saved group {_short(name)} is unknown, or contains itself.")
        if group.get("type") == "list" and isinstance(group.get("values"), list):
            key = reference.get("attributeKey", group.get("attributeKey"))
            if not isinstance(key, str):
                return self.refuse(f"saved group '{name}' names no attribute.")
            values, read = group["values"], _reader(key)
            return lambda attributes: is_in(values, read(attributes))
        inner = _Compiler(
            self._groups,
            strict=self._strict,
            budget=self._budget,
            visited=self._visited | {str(name)},
        )
        return inner.whole(group.get("condition"), depth + 1)

    def value(self, wanted: Any, depth: int) -> Predicate:
        """Return the test of one attribute's value."""
        self._budget.take()
        if isinstance(wanted, dict) and all(key.startswith("$") for key in wanted):
            tests = [self._operator(name, value, depth) for name, value in wanted.items()]
            if len(tests) == 1:
                return tests[0]
            return lambda actual: all(test(actual) for test in tests)
        return lambda actual: same(actual, wanted)

    def _operator(self, name: str, wanted: Any, depth: int) -> Predicate:
        if name in OPERATORS:
            return OPERATORS[name](wanted)
        if name in LIST_OPERATORS:
            if not isinstance(wanted, list):
                return self.refuse(f"{name} == {_short(wanted)}, must be a list.")
            return LIST_OPERATORS[name](wanted)
        nested: dict[str, Callable[[Any, int], Predicate]] = {
            "$not": self._not,
            "$size": self._size,
            "$elemMatch": self._element,
            "$all": self._all,
            "$alli": self._all_folded,
            "$inGroup": self._in_group,
            "$notInGroup": self._not_in_group,
            "$type": self._type,
            "$regex": self._regex,
            "$regexi": lambda wanted, _: self._pattern(wanted, folded=True, matching=True),
            "$notRegex": lambda wanted, _: self._pattern(wanted, folded=False, matching=False),
            "$notRegexi": lambda wanted, _: self._pattern(wanted, folded=True, matching=False),
        }
        compile_operator = nested.get(name)
        if compile_operator is None:
            known = sorted([*OPERATORS, *LIST_OPERATORS, *nested])
            return self.refuse(f"operator '{name}' is unknown, must be one of {known}.")
        test: Predicate = compile_operator(wanted, depth)
        return test

    def _not(self, wanted: Any, depth: int) -> Predicate:
        test = self.value(wanted, depth + 1)
        return lambda actual: not test(actual)

    def _size(self, wanted: Any, depth: int) -> Predicate:
        test = self.value(wanted, depth + 1)
        return lambda actual: isinstance(actual, list) and test(len(actual))

    def _element(self, wanted: Any, depth: int) -> Predicate:
        # Operators test the element itself; a condition tests the fields of it.
        logical = isinstance(wanted, dict) and _LOGICAL & wanted.keys()
        operators = isinstance(wanted, dict) and all(key.startswith("$") for key in wanted)
        test = (
            self.value(wanted, depth + 1)
            if operators and not logical
            else self.condition(wanted, depth + 1)
        )
        return lambda actual: (
            isinstance(actual, list) and any(item is not None and test(item) for item in actual)
        )

    def _all(self, wanted: Any, depth: int) -> Predicate:
        if not isinstance(wanted, list):
            return self.refuse(f"$all == {_short(wanted)}, must be a list.")
        tests = [self.value(one, depth + 1) for one in wanted]
        return lambda actual: isinstance(actual, list) and all(any(map(test, actual)) for test in tests)

    def _all_folded(self, wanted: Any, depth: int) -> Predicate:
        folded = [fold(one) for one in wanted] if isinstance(wanted, list) else wanted
        inner = self._all(folded, depth)
        return lambda actual: isinstance(actual, list) and inner([fold(one) for one in actual])

    def _in_group(self, wanted: Any, _depth: int) -> Predicate:
        group = self._groups.get(wanted, []) if isinstance(wanted, str) else None
        values = group.get("values") if isinstance(group, dict) else group
        if not isinstance(values, list) or (self._strict and wanted not in self._groups):
            return self.refuse(f"saved group {_short(wanted)} is unknown.")
        return lambda actual: is_in(values, actual)

    def _not_in_group(self, wanted: Any, depth: int) -> Predicate:
        test = self._in_group(wanted, depth)
        return never if test is never else lambda actual: not test(actual)

    def _type(self, wanted: Any, _depth: int) -> Predicate:
        if wanted not in TYPES:
            return self.refuse(f"$type == {_short(wanted)}, must be one of {list(TYPES)}.")
        return lambda actual: type_of(actual) == wanted

    def _regex(self, wanted: Any, _depth: int) -> Predicate:
        return self._pattern(wanted, folded=False, matching=True)

    def _pattern(self, wanted: Any, *, folded: bool, matching: bool) -> Predicate:
        if not isinstance(wanted, str) or len(wanted) > MAX_PATTERN:
            return self.refuse(
                f"pattern == {_short(wanted)}, must be at most {MAX_PATTERN} characters."
            )
        try:
            pattern = _compile_pattern(("(?i)" if folded else "") + wanted)
        except re2.error as error:
            # As the SDKs do: what cannot match does not match.
            if not matching and not self._strict:
                return lambda _value: True
            return self.refuse(
                f"pattern == {_short(wanted)}, must be of RE2's syntax: {_text_of(error)}."
            )
        return lambda actual: (
            (isinstance(actual, str) and pattern.search(actual) is not None) == matching
        )


def _text_of(error: Exception) -> str:
    """Return what RE2 says: its messages are bytes."""
    message = error.args[0] if error.args else ""
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


# Compiled anew at every reload of the configuration otherwise.
@lru_cache(maxsize=512)
def _compile_pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _reader(path: str) -> Callable[[Any], Any]:
    """Return what reads a dotted path; what is missing is None."""
    if "." not in path:
        return lambda attributes: attributes.get(path) if isinstance(attributes, dict) else None
    steps = path.split(".")

    def read(attributes: Any) -> Any:
        value = attributes
        for step in steps:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list):
                value = _of_list(value, step)
            else:
                return None
        return value

    return read


def _of_list(values: list[Any], step: str) -> Any:
    if step == "length":
        return len(values)
    return (
        values[int(step)] if step.isdecimal() and len(step) < 10 and int(step) < len(values) else None
    )


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
