"""Our experiments as a GrowthBook payload: what its SDKs, in any language, evaluate to our variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .allocation import ExperimentRule, HashRange, Prerequisite, Targeting

if TYPE_CHECKING:
    from collections.abc import Mapping


def feature_of(
    rule: ExperimentRule,
    others: Mapping[str, ExperimentRule],
    *,
    phase: int = 1,
    sticky: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Return the feature of a running experiment whose hashing is GrowthBook's.

    Args:
        rule: the experiment.
        others: rules by key, for the values of prerequisites.
        phase: number of its epoch.
        sticky: versions of what a client keeps: from which on, and below which it is left out.
    """
    if not rule.enabled:
        return {"defaultValue": None}
    rules: list[dict[str, Any]] = []
    for variant in rule.variants:
        # Only for those who hold a secret key: `personal_rules` keep their rules to themselves.
        units = sorted(unit for unit, forced in rule.forced.items() if forced == variant.key)
        if units:
            force = rule.value_of(variant.key)
            rules.append({"condition": {"id": {"$in": units}}, "force": force})
    since, blocked = sticky or (0, 0)
    rules.append(
        {
            "key": rule.key,
            "seed": rule.salt,
            "hashAttribute": "id",
            "hashVersion": 2,
            # One variation a part of the layout: a variant may hold several.
            "variations": [rule.value_of(owner) for owner in rule.range_variants],
            "meta": [{"key": owner} for owner in rule.range_variants],
            "ranges": [list(span) for span in rule.ranges()],
            "phase": str(phase),
            "disableStickyBucketing": sticky is None,
            "bucketVersion": since,
            "minBucketVersion": blocked,
            **_checks(rule, others),
        }
    )
    return {"defaultValue": None, "rules": rules}


def _checks(rule: ExperimentRule, others: Mapping[str, ExperimentRule]) -> dict[str, Any]:
    filters, conditions, parents = [], [], []
    for check in rule.checks:
        # GrowthBook's filters: every SDK hashes them in the one way that layers and holdouts use.
        if isinstance(check, HashRange):
            filters.append(
                {
                    "seed": check.salt,
                    "ranges": [[check.low, check.high]],
                    "hashVersion": 2,
                    "attribute": "id",
                }
            )
        elif isinstance(check, Targeting):
            conditions.append(inline_groups(check.condition, check.groups))
        elif isinstance(check, Prerequisite):
            parents.append(_parent(check, others))
    fields: dict[str, Any] = {}
    if filters:
        fields["filters"] = filters
    if conditions:
        fields["condition"] = conditions[0] if len(conditions) == 1 else {"$and": conditions}
    if parents:
        fields["parentConditions"] = parents
    return fields


def _parent(check: Prerequisite, others: Mapping[str, ExperimentRule]) -> dict[str, Any]:
    other = others.get(check.experiment)
    values = [other.value_of(key) for key in sorted(check.variants)] if other is not None else []
    return {
        "id": check.experiment,
        "condition": {"$or": [{"value": v} for v in values] or [{"value": {"$in": []}}]},
    }


def inline_groups(condition: Any, groups: Mapping[str, Any]) -> Any:
    """Return a condition with its saved groups written out: not every SDK knows how to look them up."""
    if isinstance(condition, list):
        return [inline_groups(one, groups) for one in condition]
    if not isinstance(condition, dict):
        return condition
    written: dict[str, Any] = {}
    also: list[Any] = []
    for key, value in condition.items():
        if key == "$savedGroup":
            also.append(_group(value, groups))
        elif key in {"$inGroup", "$notInGroup"}:
            group = groups.get(value, [])
            values = group.get("values", []) if isinstance(group, dict) else group
            written["$in" if key == "$inGroup" else "$nin"] = values
        else:
            written[key] = inline_groups(value, groups)
    return {"$and": [written, *also]} if also else written


def _group(reference: Mapping[str, Any], groups: Mapping[str, Any]) -> Any:
    group = groups[reference["id"]]
    if group["type"] == "list":
        return {reference.get("attributeKey", group["attributeKey"]): {"$in": group["values"]}}
    return inline_groups(group["condition"], groups)
