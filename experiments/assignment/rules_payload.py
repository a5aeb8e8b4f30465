"""Rules as JSON, so that a client evaluates them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .allocation import ExperimentRule, HashRange, Prerequisite, Targeting, VariantRule

if TYPE_CHECKING:
    from collections.abc import Mapping


def rule_to_json(rule: ExperimentRule) -> dict[str, Any]:
    """Return a rule as JSON."""
    return {
        "key": rule.key,
        "salt": rule.salt,
        "hashing": rule.hashing,
        "allocation": rule.allocation,
        "enabled": rule.enabled,
        "variants": [{"key": v.key, "weight": v.weight, "value": v.value} for v in rule.variants],
        "layout": [list(part) for part in rule.layout],
        "forced": dict(rule.forced),
        "checks": [_check_to_json(check) for check in rule.checks],
    }


def rule_from_json(data: Mapping[str, Any]) -> ExperimentRule:
    """Return the rule of such JSON.

    Raises:
        AllocationError, ConditionError, KeyError: it is no rule.
    """
    return ExperimentRule(
        key=data["key"],
        salt=data["salt"],
        hashing=data["hashing"],
        allocation=data["allocation"],
        enabled=data["enabled"],
        variants=tuple(VariantRule(v["key"], v["weight"], v["value"]) for v in data["variants"]),
        layout=tuple((key, width) for key, width in data["layout"]),
        forced=data["forced"],
        checks=tuple(_check_from_json(check) for check in data["checks"]),
    )


def _check_to_json(check: Any) -> dict[str, Any]:
    if isinstance(check, HashRange):
        return {"span": check.name, "salt": check.salt, "low": check.low, "high": check.high}
    if isinstance(check, Targeting):
        return {"condition": check.condition, "groups": check.groups}
    return {"prerequisite": check.experiment, "variants": sorted(check.variants)}


def _check_from_json(data: Mapping[str, Any]) -> HashRange | Targeting | Prerequisite:
    if "span" in data:
        return HashRange(data["span"], data["salt"], data["low"], data["high"])
    if "condition" in data:
        return Targeting(data["condition"], data["groups"])
    return Prerequisite(data["prerequisite"], frozenset(data["variants"]))
