"""Conditions over attributes, in the MongoDB-style language that GrowthBook's SDKs evaluate.

A condition is JSON: `{"country": {"$in": ["DE", "AT"]}, "$or": [{"age": {"$gte": 18}}, {"staff": 1}]}`.
It is compiled once into a predicate. Strict compiling, as when a condition is saved, refuses what no
evaluator could follow; lenient compiling, as for somebody else's payload, makes such a part false.
Regular expressions are RE2's, which run in time linear in the text.

Attributes compare as in JavaScript, where the SDKs run: a missing one is null, and orders like 0.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Predicate = Callable[[Any], bool]
    Groups = Mapping[str, Any]

MAX_DEPTH = 20
MAX_LEVELS = 64  # of the JSON: twenty conditions in each other, and the values in the innermost
MAX_PARTS = 10_000  # conditions and tests, those of saved groups counted wherever they are named
MAX_PATTERN = 1000
TYPES = ("string", "number", "boolean", "array", "object", "null")


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


def never(_value: Any) -> bool:
    """Be false: what a malformed part of a lenient condition is."""
    return False


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
            return lambda attributes: _is_in(values, read(attributes))
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
            return lambda found: all(test(found) for test in tests)
        return lambda found: _same(found, wanted)

    def _operator(self, name: str, wanted: Any, depth: int) -> Predicate:
        if name in _PLAIN:
            return _PLAIN[name](wanted)
        if name in _LISTS:
            if not isinstance(wanted, list):
                return self.refuse(f"{name} == {_short(wanted)}, must be a list.")
            return _LISTS[name](wanted)
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
            "$regexi": lambda wanted, _: self._pattern(wanted, folded=True, found=True),
            "$notRegex": lambda wanted, _: self._pattern(wanted, folded=False, found=False),
            "$notRegexi": lambda wanted, _: self._pattern(wanted, folded=True, found=False),
        }
        made = nested.get(name)
        if made is None:
            known = sorted([*_PLAIN, *_LISTS, *nested])
            return self.refuse(f"operator '{name}' is unknown, must be one of {known}.")
        test: Predicate = made(wanted, depth)
        return test

    def _not(self, wanted: Any, depth: int) -> Predicate:
        test = self.value(wanted, depth + 1)
        return lambda found: not test(found)

    def _size(self, wanted: Any, depth: int) -> Predicate:
        test = self.value(wanted, depth + 1)
        return lambda found: isinstance(found, list) and test(len(found))

    def _element(self, wanted: Any, depth: int) -> Predicate:
        # Operators test the element itself; a condition tests the fields of it.
        logical = isinstance(wanted, dict) and _LOGICAL & wanted.keys()
        operators = isinstance(wanted, dict) and all(key.startswith("$") for key in wanted)
        test = (
            self.value(wanted, depth + 1)
            if operators and not logical
            else self.condition(wanted, depth + 1)
        )
        return lambda found: (
            isinstance(found, list) and any(item is not None and test(item) for item in found)
        )

    def _all(self, wanted: Any, depth: int) -> Predicate:
        if not isinstance(wanted, list):
            return self.refuse(f"$all == {_short(wanted)}, must be a list.")
        tests = [self.value(one, depth + 1) for one in wanted]
        return lambda found: isinstance(found, list) and all(any(map(test, found)) for test in tests)

    def _all_folded(self, wanted: Any, depth: int) -> Predicate:
        folded = [_fold(one) for one in wanted] if isinstance(wanted, list) else wanted
        inner = self._all(folded, depth)
        return lambda found: isinstance(found, list) and inner([_fold(one) for one in found])

    def _in_group(self, wanted: Any, _depth: int) -> Predicate:
        group = self._groups.get(wanted, []) if isinstance(wanted, str) else None
        values = group.get("values") if isinstance(group, dict) else group
        if not isinstance(values, list) or (self._strict and wanted not in self._groups):
            return self.refuse(f"saved group {_short(wanted)} is unknown.")
        return lambda found: _is_in(values, found)

    def _not_in_group(self, wanted: Any, depth: int) -> Predicate:
        test = self._in_group(wanted, depth)
        return never if test is never else lambda found: not test(found)

    def _type(self, wanted: Any, _depth: int) -> Predicate:
        if wanted not in TYPES:
            return self.refuse(f"$type == {_short(wanted)}, must be one of {list(TYPES)}.")
        return lambda found: type_of(found) == wanted

    def _regex(self, wanted: Any, _depth: int) -> Predicate:
        return self._pattern(wanted, folded=False, found=True)

    def _pattern(self, wanted: Any, *, folded: bool, found: bool) -> Predicate:
        if not isinstance(wanted, str) or len(wanted) > MAX_PATTERN:
            return self.refuse(
                f"pattern == {_short(wanted)}, must be at most {MAX_PATTERN} characters."
            )
        try:
            pattern = _compile_pattern(("(?i)" if folded else "") + wanted)
        except re2.error as error:
            if not found and not self._strict:
                return lambda _value: True
            return self.refuse(f"pattern == {_short(wanted)}, must be of RE2's syntax: {error}.")
        return lambda value: (isinstance(value, str) and pattern.search(value) is not None) == found


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


def type_of(value: Any) -> str:
    """Return the name of a value's JSON type."""
    for name, kinds in (
        ("null", type(None)), ("boolean", bool), ("number", (int, float)), ("string", str),
        ("array", (list, tuple)), ("object", dict),
    ):  # fmt: skip
        if isinstance(value, kinds):
            return name
    return "unknown"


def _same(found: Any, wanted: Any) -> bool:
    """Compare literally: types must be the same all the way down, and lists in order."""
    kind = type_of(found)
    if kind != type_of(wanted):
        return False
    if kind in {"array", "object"}:
        return json.dumps(found, default=str) == json.dumps(wanted, default=str)
    return bool(found == wanted)


def _equal(wanted: Any) -> Predicate:
    if type_of(wanted) in {"array", "object"}:  # JavaScript compares these by identity
        return never
    return lambda found: _same(found, wanted)


def _unequal(wanted: Any) -> Predicate:
    equal = _equal(wanted)
    return lambda found: not equal(found)


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
    """Return an operator that holds where the order of found and wanted is one of the signs."""

    def made(wanted: Any) -> Predicate:
        words = isinstance(wanted, str)
        number = _number(wanted)

        def test(found: Any) -> bool:
            if words and isinstance(found, str):
                a: Any = found.encode("utf-16-be", "surrogatepass")
                b: Any = wanted.encode("utf-16-be", "surrogatepass")
            else:
                a, b = _number(found), number
            return (a > b) - (a < b) in signs and a == a and b == b  # noqa: PLR0124  NaN has no order

        return test

    return made


def _version(value: Any) -> str:
    """Return a version so that versions sort as text: numbers padded, releases after pre-releases."""
    text = f"{value:g}" if type_of(value) == "number" else value
    text = text if isinstance(text, str) and text else "0"
    parts = text.removeprefix("v").partition("+")[0].replace("-", ".").split(".")
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if part.isdigit() else part for part in parts)


def _version_order(*signs: int) -> Callable[[Any], Predicate]:
    def made(wanted: Any) -> Predicate:
        b = _version(wanted)

        def test(found: Any) -> bool:
            a = _version(found)
            return (a > b) - (a < b) in signs

        return test

    return made


def _exists(wanted: Any) -> Predicate:
    return lambda found: (found is not None) == bool(wanted)


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _is_in(values: Sequence[Any], found: Any) -> bool:
    """Whether a value, or one of a list of them, is among others of its own type."""
    every = found if isinstance(found, list) else [found]
    return any(
        type_of(one) not in {"array", "object"} and _same(one, value)
        for one in every
        for value in values
    )


def _list_test(*, folded: bool, inside: bool) -> Callable[[list[Any]], Predicate]:
    def made(wanted: list[Any]) -> Predicate:
        values = [_fold(one) for one in wanted] if folded else wanted
        words = frozenset(values) if all(isinstance(one, str) for one in values) else None

        def test(found: Any) -> bool:
            if folded:
                found = [_fold(one) for one in found] if isinstance(found, list) else _fold(found)
            if words is not None and isinstance(found, str):
                return (found in words) == inside
            return _is_in(values, found) == inside

        return test

    return made


_LOGICAL = {"$and", "$or", "$nor", "$savedGroup"}
_PLAIN: dict[str, Callable[[Any], Predicate]] = {
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
_LISTS: dict[str, Callable[[list[Any]], Predicate]] = {
    "$in": _list_test(folded=False, inside=True),
    "$nin": _list_test(folded=False, inside=False),
    "$ini": _list_test(folded=True, inside=True),
    "$nini": _list_test(folded=True, inside=False),
}


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
