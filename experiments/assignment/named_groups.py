"""Saved groups as conditions read them, and those that a condition names.

Nobody is sent the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OPERATORS = frozenset({"$inGroup", "$notInGroup"})


def group_as_json(attribute: str, values: list[Any], condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group as conditions, and GrowthBook's payload, read it.

    Args:
        attribute: of a list: which attribute it lists values of; `id` if empty.
        values: of a list.
        condition: instead of a list: whom it holds.
    """
    if condition:
        return {"type": "condition", "condition": condition}
    return {"type": "list", "attributeKey": attribute or "id", "values": values}


def named_groups(condition: Any, groups: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some saved groups that a condition names, and that these name in turn.

    Args:
        condition: JSON, whose depth is bounded.
        groups: saved groups by id.
    """
    named: dict[str, Any] = {}
    waiting = list(_names_in(condition))
    while waiting:
        name = waiting.pop()
        if name in groups and name not in named:
            named[name] = groups[name]
            waiting += _names_in(groups[name])
    return {name: groups[name] for name in groups if name in named}


def _names_in(value: Any) -> Iterator[str]:
    inside = [value]
    while inside:
        one = inside.pop()
        if isinstance(one, list | tuple):
            inside += one
        elif isinstance(one, dict):
            inside += one.values()
            reference = one.get("$savedGroup")
            names = [one.get(operator) for operator in _OPERATORS]
            names.append(reference.get("id") if isinstance(reference, dict) else None)
            yield from (name for name in names if isinstance(name, str))
