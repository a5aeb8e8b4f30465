"""GrowthBook's payload of features, evaluated as its SDKs do (spec version 0.7, MIT).

A feature has rules in order: force a value, or run an experiment, which may wait for other features.
In reading order: a feature, its rules, an experiment, its bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .conditions import compile_condition
from .growthbook_context import EvaluationContext, ExperimentResult, FeatureResult
from .growthbook_ranges import are_weights, choose_variation, in_namespace, ranges_of, usable_weights
from .growthbook_sticky import hashed, remember, remembered
from .hashing import growthbook_bucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FALLBACK_LEAF = -1  # of a contextual bandit none of whose contexts holds


def evaluate_feature(
    visitor: EvaluationContext, key: str, visited: frozenset[str] = frozenset()
) -> FeatureResult:
    """Evaluate a feature.

    Args:
        visitor: who, and the payload.
        key: of the feature.
        visited: features that wait for this one.
    """
    feature = visitor.features.get(key)
    if feature is None:
        return FeatureResult(None, "unknownFeature")
    # Features may wait for each other in a circle, which a payload does not forbid.
    if key in visited:
        return FeatureResult(None, "cyclicPrerequisite")
    for rule in feature.get("rules") or ():
        result = _follow(visitor, key, rule, visited | {key})
        if result is not None:
            return result
    return FeatureResult(feature.get("defaultValue"), "defaultValue")


def _follow(
    visitor: EvaluationContext, key: str, rule: Mapping[str, Any], visited: frozenset[str]
) -> FeatureResult | None:
    """Follow one rule; None goes on to the next."""
    source = _prerequisites(visitor, rule.get("parentConditions"), visited)
    if source in {"prerequisite", "cyclicPrerequisite"}:
        return FeatureResult(None, source)
    if source or not _lets_in(visitor, rule):
        return None
    if rule.get("force") is not None:
        if not _in_rollout(visitor, key, rule):
            return None
        return FeatureResult(rule["force"], "force", rule=rule.get("id") or "")
    return _try_experiment(visitor, key, rule, visited)


def _try_experiment(
    visitor: EvaluationContext, key: str, rule: Mapping[str, Any], visited: frozenset[str]
) -> FeatureResult | None:
    """Run a rule's experiment; None for who takes no part, or continues."""
    variations = rule.get("contextualVariations", rule.get("variations"))
    if variations is None:
        return None
    experiment, bandit = _experiment_of(visitor, key, rule, variations)
    outcome = run_experiment(visitor, experiment, feature=key, bandit=bandit, visited=visited)
    if not outcome.in_experiment or outcome.passthrough:
        return None
    if outcome.bandit:
        experiment |= {"contextualBandit": bandit}
    return FeatureResult(outcome.value, "experiment", experiment, outcome, rule.get("id") or "")


def _lets_in(visitor: EvaluationContext, rule: Mapping[str, Any]) -> bool:
    condition, filters = rule.get("condition"), rule.get("filters")
    if condition and not visitor.matches(condition):
        return False
    return not filters or _passes(visitor, filters)


def _prerequisites(visitor: EvaluationContext, parents: Any, visited: frozenset[str]) -> str:
    """Return why the rule is not followed: a source that ends the feature, "skip", or nothing."""
    for parent in parents or ():
        result = evaluate_feature(visitor, parent.get("id", ""), visited)
        if result.source == "cyclicPrerequisite":
            return result.source
        test = compile_condition(parent.get("condition"), visitor.saved_groups, strict=False)
        if not test({"value": result.value}):
            return "prerequisite" if parent.get("gate") else "skip"
    return ""


def _in_rollout(visitor: EvaluationContext, key: str, rule: Mapping[str, Any]) -> bool:
    """Whether the visitor is in the share that a forced value is for."""
    span, coverage = rule.get("range"), rule.get("coverage")
    if span is None and coverage is None:
        return True
    if not span and coverage == 0:
        return False
    _, value = visitor.hashed(rule.get("hashAttribute"), rule.get("fallbackAttribute"))
    seed, version = rule.get("seed") or key, rule.get("hashVersion") or 1
    bucket = growthbook_bucket(seed, value, version) if value else None
    if bucket is None:
        return False
    if span:
        return bool(span[0] <= bucket < span[1])
    return coverage is None or bool(bucket < coverage)


_COPIED = (
    "coverage", "weights", "hashAttribute", "fallbackAttribute", "namespace", "hashVersion", "meta",
    "ranges", "name", "phase", "seed", "filters", "condition", "disableStickyBucketing",
    "bucketVersion", "minBucketVersion",
)  # fmt: skip


def _experiment_of(
    visitor: EvaluationContext, key: str, rule: Mapping[str, Any], variations: Sequence[Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the experiment that a rule runs, and what its contextual bandit says."""
    experiment = {name: rule[name] for name in _COPIED if rule.get(name) is not None}
    experiment |= {"key": rule.get("key") or key, "variations": variations}
    definition = visitor.bandits.get(rule.get("contextualBanditRef") or "")
    if not isinstance(definition, dict):
        return experiment, None
    leaf: Mapping[str, Any] = next(
        (c for c in definition.get("contexts") or () if visitor.matches(c.get("condition") or {})), {}
    )
    weights, number = leaf.get("weights"), leaf.get("leafId")
    if are_weights(weights, len(variations)) and _is_whole(number):
        experiment["weights"] = weights
    else:
        number, weights = FALLBACK_LEAF, usable_weights(len(variations), experiment.get("weights"))
    bandit = {"leafId": number, "variationWeights": weights}
    if _is_whole(definition.get("banditVersion")):
        bandit["banditVersion"] = definition["banditVersion"]
    return experiment, None if experiment.get("ranges") else bandit


def run_experiment(
    visitor: EvaluationContext,
    experiment: Mapping[str, Any],
    *,
    feature: str | None = None,
    bandit: Mapping[str, Any] | None = None,
    visited: frozenset[str] = frozenset(),
) -> ExperimentResult:
    """Run one experiment.

    Args:
        visitor: who.
        experiment: key, variations and rules.
        feature: whose rule it is.
        bandit: what to report beside the variation.
        visited: features that wait for this one.
    """
    forced = _forced(visitor, experiment)
    if forced is not None or not _is_open(visitor, experiment):
        return _outcome(visitor, experiment, feature, -1 if forced is None else forced)
    attribute, value = hashed(visitor, experiment)
    choice = _choose(visitor, experiment, value, visited) if value else _Choice(-1)
    result = _outcome(visitor, experiment, feature, choice.variation)
    if choice.bucket is None or not result.in_experiment:
        return replace(result, sticky_used=choice.sticky)
    result = replace(
        result, hash_used=True, bucket=choice.bucket, sticky_used=choice.sticky, bandit=bandit
    )
    remember(visitor, experiment, attribute, value, result.key)
    return result


@dataclass(frozen=True, slots=True)
class _Choice:
    """A variation or -1, the bucket if the hash decided, and whether an earlier visit did."""

    variation: int
    bucket: float | None = None
    sticky: bool = False


def _choose(
    visitor: EvaluationContext, experiment: Mapping[str, Any], value: str, visited: frozenset[str]
) -> _Choice:
    """Choose a variation for a hashed value."""
    remembered_variation, blocked = remembered(visitor, experiment)
    seed, version = experiment.get("seed") or experiment["key"], experiment.get("hashVersion") or 1
    bucket = growthbook_bucket(seed, value, version)
    is_sticky = remembered_variation >= 0
    # Who met the experiment stays in it, whatever its conditions say by now.
    takes_part = is_sticky or _is_meant(visitor, experiment, value, visited)
    if not takes_part or bucket is None:
        return _Choice(-1)
    if blocked:
        return _Choice(-1, sticky=True)
    chosen = remembered_variation if is_sticky else choose_variation(bucket, ranges_of(experiment))
    if chosen >= 0 and experiment.get("force") is not None:
        return _Choice(experiment["force"])
    if visitor.qa_mode or experiment.get("status") == "stopped":
        return _Choice(-1)
    return _Choice(chosen, bucket, sticky=is_sticky)


def _forced(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> int | None:
    """Return the variation that the page or the product forces."""
    count = len(experiment["variations"])
    if count < 2 or not visitor.enabled:
        return None
    try:
        index = parse_qs(urlsplit(visitor.url).query).get(experiment["key"], [""])[0]
    except ValueError:  # the address is whatever the browser has
        index = ""
    # Bounded: Python refuses to read a number of thousands of digits.
    if index.isascii() and index.isdigit() and len(index) < 10 and int(index) < count:
        return int(index)
    return visitor.forced.get(experiment["key"])


def _is_open(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> bool:
    return (
        len(experiment["variations"]) >= 2
        and visitor.enabled
        and experiment.get("active", True)
        and experiment.get("status") != "draft"
    )


def _is_meant(
    visitor: EvaluationContext, experiment: Mapping[str, Any], value: str, visited: frozenset[str]
) -> bool:
    """Whether filters, namespace, condition and prerequisites let the visitor in."""
    filters, namespace = experiment.get("filters"), experiment.get("namespace")
    if filters:
        if not _passes(visitor, filters):
            return False
    elif namespace and not in_namespace(value, namespace):
        return False
    condition = experiment.get("condition")
    if condition and not visitor.matches(condition):
        return False
    return not _prerequisites(visitor, experiment.get("parentConditions"), visited)


def _passes(visitor: EvaluationContext, filters: Sequence[Mapping[str, Any]]) -> bool:
    for one in filters:
        _, value = visitor.hashed(one.get("attribute"))
        bucket = growthbook_bucket(one.get("seed", ""), value, one.get("hashVersion", 2))
        if not value or bucket is None:
            return False
        if not any(low <= bucket < high for low, high in one["ranges"]):
            return False
    return True


def _outcome(
    visitor: EvaluationContext, experiment: Mapping[str, Any], feature: str | None, variation: int
) -> ExperimentResult:
    """Return the outcome of a variation; of the first, without taking part, if there is none such."""
    variations = experiment["variations"]
    inside = 0 <= variation < len(variations)
    index = variation if inside else 0
    meta: Mapping[str, Any] = dict(enumerate(experiment.get("meta") or ())).get(index) or {}
    attribute, value = hashed(visitor, experiment)
    return ExperimentResult(
        value=variations[index] if variations else None,
        variation=index,
        in_experiment=inside,
        hash_used=False,
        hash_attribute=attribute,
        hash_value=visitor.attributes[attribute] if value else "",
        key=meta.get("key") or str(index),
        feature=feature,
        name=meta.get("name"),
        passthrough=bool(meta.get("passthrough")),
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
