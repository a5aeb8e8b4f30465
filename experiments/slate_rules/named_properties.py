"""The properties of items that rules name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.slate_rules.filters import BUILT_IN, own_times
from experiments.slate_rules.item_times import asks_number
from experiments.slate_rules.leaves import leaves_of
from experiments.slate_rules.rule_error import RuleError
from experiments.slate_rules.rules import SlateRules, check_properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def named_properties(rules: SlateRules) -> list[tuple[str, str]]:
    """Return the path of each property that rules name, and the rule that names it."""
    named: list[tuple[str, str]] = []
    check_properties(rules, lambda path, rule: named.append((path, rule)))
    filters = [("filter", one) for one in rules.filters]
    filters += [("bury", one) for one in rules.buried]
    filters += [("boost", one.filter) for one in rules.boosts]
    return named + [(path, rule) for rule, one in filters for path in _paths_of(one)]


def times_meant_as_properties(rules: Mapping[str, Any]) -> list[str]:
    """Return the names of items' times that saved rules compare as texts: their own properties.

    Rules from before items had these times say so; new ones are refused.
    """
    try:
        parsed = SlateRules.parse(rules, stored=True)
    except RuleError:  # what cannot be followed at all is told elsewhere
        return []
    return sorted({name for condition in parsed.conditions for name in own_times(condition)})


def _paths_of(condition: Mapping[str, Any]) -> Iterator[str]:
    for name, wanted in leaves_of(condition):
        if name not in BUILT_IN or asks_number(name, wanted):
            yield name
