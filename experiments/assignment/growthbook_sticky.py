"""What is remembered of earlier visits: sticky bucketing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .growthbook_context import EvaluationContext


def hashed(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is hashed: the fallback only where it is remembered."""
    remembers = visitor.sticky is not None and not experiment.get("disableStickyBucketing")
    fallback = experiment.get("fallbackAttribute") if remembers else None
    return visitor.hashed(experiment.get("hashAttribute"), fallback)


def remembered(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the variation of an earlier visit or -1, and whether an older version blocks it."""
    if visitor.sticky is None or experiment.get("disableStickyBucketing"):
        return -1, False
    assignments: dict[str, str] = {}
    for attribute in (experiment.get("fallbackAttribute"), experiment.get("hashAttribute") or "id"):
        if attribute:
            name, value = visitor.hashed(attribute)
            assignments |= visitor.sticky.get(f"{name}||{value}", {}).get("assignments", {})
    key = experiment["key"]
    # Who met a version below the minimum is left out, as the platform's blocked units are.
    if any(f"{key}__{old}" in assignments for old in range(experiment.get("minBucketVersion") or 0)):
        return -1, True
    wanted = assignments.get(f"{key}__{experiment.get('bucketVersion') or 0}")
    metas = enumerate(experiment.get("meta") or ())
    return next((i for i, meta in metas if wanted and meta.get("key") == wanted), -1), False


def remember(
    visitor: EvaluationContext, experiment: Mapping[str, Any], attribute: str, value: str, key: str
) -> None:
    """Remember a variation for later visits."""
    if visitor.sticky is None or experiment.get("disableStickyBucketing"):
        return
    place = f"{attribute}||{value}"
    known = visitor.sticky.get(place, {}).get("assignments", {})
    name = f"{experiment['key']}__{experiment.get('bucketVersion') or 0}"
    visitor.sticky[place] = {
        "attributeName": attribute,
        "attributeValue": value,
        "assignments": {**known, name: key},
    }
