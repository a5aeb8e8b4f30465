"""GrowthBook's payload of features, evaluated as its SDKs do (spec version 0.7, MIT).

A feature has rules in order: force a value, or run an experiment. In reading order: what is known of
the visitor, a feature, its rules, an experiment, its bucket, what is remembered of earlier visits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .conditions import compile_condition
from .hashing import growthbook_bucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Range = tuple[float, float]
MIN_WEIGHT_SUM, MAX_WEIGHT_SUM = 0.99, 1.01
FALLBACK_LEAF = -1  # of a contextual bandit none of whose contexts holds


@dataclass(slots=True)
class EvaluationContext:
    """Who is evaluated, and by which payload.

    Attributes:
        attributes: of the visitor; `id` is hashed unless a rule names another.
        features: by key.
        saved_groups: by id.
        bandits: contextual bandits by reference.
        forced: index of a variation by experiment.
        url: of the page; `?experiment=1` forces a variation.
        enabled: whether experiments run at all.
        qa_mode: whether only what is forced runs.
        sticky: earlier variations by "attribute||value"; None keeps none.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    saved_groups: Mapping[str, Any] = field(default_factory=dict)
    bandits: Mapping[str, Any] = field(default_factory=dict)
    forced: Mapping[str, int] = field(default_factory=dict)
    url: str = ""
    enabled: bool = True
    qa_mode: bool = False
    sticky: dict[str, dict[str, Any]] | None = None

    @classmethod
    def of(
        cls, context: Mapping[str, Any], sticky: dict[str, dict[str, Any]] | None = None
    ) -> EvaluationContext:
        """Read a context of the SDKs."""
        return cls(
            attributes=context.get("attributes", {}),
            features=context.get("features", {}),
            saved_groups=context.get("savedGroups", {}),
            bandits=context.get("contextualBandits", {}),
            forced=context.get("forcedVariations", {}),
            url=context.get("url", ""),
            enabled=context.get("enabled", True),
            qa_mode=context.get("qaMode", False),
            sticky=sticky,
        )

    def matches(self, condition: Any) -> bool:
        """Whether a condition holds; one that is malformed does not."""
        return compile_condition(condition, self.saved_groups, strict=False)(self.attributes)

    def hashed(self, attribute: str | None, fallback: str | None = None) -> tuple[str, str]:
        """Return the attribute that is hashed, and its value; empty when it has none."""
        name = attribute or "id"
        value = _text(self.attributes.get(name))
        if not value and fallback:
            other = _text(self.attributes.get(fallback))
            if other:
                return fallback, other
        return name, value


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment gives.

    Attributes:
        value: of the variation.
        variation: its index; 0 when the visitor takes no part.
        in_experiment: whether the visitor takes part.
        hash_used: whether the hash decided, so that it counts for analysis.
        hash_attribute: what was hashed.
        hash_value: its value, as the visitor has it: a number stays one.
        key: of the variation.
        feature: for which feature.
        bucket: in [0, 1), when the hash decided.
        sticky_used: whether an earlier visit decided.
        name: of the variation, where it has one.
        passthrough: whether the next rules still apply: a holdout.
        bandit: of a contextual bandit: leaf, weights, version.
    """

    value: Any
    variation: int
    in_experiment: bool
    hash_used: bool
    hash_attribute: str
    hash_value: str | float
    key: str
    feature: str | None = None
    bucket: float | None = None
    sticky_used: bool = False
    name: str | None = None
    passthrough: bool = False
    bandit: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """What a feature gives: its value and where that comes from."""

    value: Any
    source: str
    experiment: Mapping[str, Any] | None = None
    outcome: ExperimentResult | None = None
    rule: str = ""

    @property
    def on(self) -> bool:
        """Whether JavaScript would call the value true."""
        return self.value not in (None, False, 0, "") or isinstance(self.value, list | dict)


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
    if key in visited:
        return FeatureResult(None, "cyclicPrerequisite")
    for rule in feature.get("rules") or ():
        found = _follow(visitor, key, rule, visited | {key})
        if found is not None:
            return found
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
        found = evaluate_feature(visitor, parent.get("id", ""), visited)
        if found.source == "cyclicPrerequisite":
            return found.source
        test = compile_condition(parent.get("condition"), visitor.saved_groups, strict=False)
        if not test({"value": found.value}):
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
    if _are_weights(weights, len(variations)) and _is_whole(number):
        experiment["weights"] = weights
    else:
        number, weights = FALLBACK_LEAF, _usable_weights(len(variations), experiment.get("weights"))
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
    attribute, value = _hashed(visitor, experiment)
    choice = _choose(visitor, experiment, value, visited) if value else _Choice(-1)
    found = _outcome(visitor, experiment, feature, choice.variation)
    if choice.bucket is None or not found.in_experiment:
        return replace(found, sticky_used=choice.sticky)
    found = replace(
        found, hash_used=True, bucket=choice.bucket, sticky_used=choice.sticky, bandit=bandit
    )
    _remember(visitor, experiment, attribute, value, found.key)
    return found


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
    kept, blocked = _remembered(visitor, experiment)
    seed, version = experiment.get("seed") or experiment["key"], experiment.get("hashVersion") or 1
    bucket = growthbook_bucket(seed, value, version)
    if (kept < 0 and not _is_meant(visitor, experiment, value, visited)) or bucket is None:
        return _Choice(-1)
    if blocked:
        return _Choice(-1, sticky=True)
    chosen = kept if kept >= 0 else choose_variation(bucket, _ranges_of(experiment))
    if chosen >= 0 and experiment.get("force") is not None:
        return _Choice(experiment["force"])
    if visitor.qa_mode or experiment.get("status") == "stopped":
        return _Choice(-1)
    return _Choice(chosen, bucket, sticky=kept >= 0)


def _forced(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> int | None:
    """Return the variation that the page or the product forces."""
    count = len(experiment["variations"])
    if count < 2 or not visitor.enabled:
        return None
    try:
        said = parse_qs(urlsplit(visitor.url).query).get(experiment["key"], [""])[0]
    except ValueError:
        said = ""
    if said.isascii() and said.isdigit() and len(said) < 10 and int(said) < count:
        return int(said)
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


def in_namespace(value: str, namespace: Sequence[Any]) -> bool:
    """Whether a value lies in a range of a namespace: (name, from, to)."""
    name, low, high = namespace[:3]
    bucket = growthbook_bucket(f"__{name}", value, 1)
    return bucket is not None and bool(low <= bucket < high)


def equal_weights(count: int) -> list[float]:
    """Return as many equal weights."""
    return [1 / count] * count if count > 0 else []


def bucket_ranges(
    count: int, coverage: float | None = None, weights: Sequence[float] | None = None
) -> list[Range]:
    """Return the range of buckets of each variation.

    Args:
        count: of variations.
        coverage: share of each variation's range that is used.
        weights: shares that sum to 1, or equal ones are used.
    """
    share = min(max(1.0 if coverage is None else coverage, 0.0), 1.0)
    used = _usable_weights(count, weights)
    starts = accumulate(used[:-1], initial=0.0) if used else ()
    return [(start, start + share * weight) for start, weight in zip(starts, used, strict=True)]


def choose_variation(bucket: float, ranges: Sequence[Sequence[float]]) -> int:
    """Return the index of the range that holds a bucket, or -1."""
    return next((i for i, (low, high) in enumerate(ranges) if low <= bucket < high), -1)


def _ranges_of(experiment: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    count = len(experiment["variations"])
    return experiment.get("ranges") or bucket_ranges(
        count, experiment.get("coverage"), experiment.get("weights")
    )


def _are_weights(weights: Any, count: int) -> bool:
    return (
        isinstance(weights, list | tuple)
        and len(weights) == count
        and all(isinstance(w, int | float) and not isinstance(w, bool) and w >= 0 for w in weights)
        and MIN_WEIGHT_SUM <= sum(weights) <= MAX_WEIGHT_SUM
    )


def _usable_weights(count: int, weights: Any) -> list[float]:
    return list(weights) if _are_weights(weights, count) else equal_weights(count)


def _outcome(
    visitor: EvaluationContext, experiment: Mapping[str, Any], feature: str | None, variation: int
) -> ExperimentResult:
    """Return the outcome of a variation; of the first, without taking part, if there is none such."""
    variations = experiment["variations"]
    inside = 0 <= variation < len(variations)
    index = variation if inside else 0
    meta: Mapping[str, Any] = dict(enumerate(experiment.get("meta") or ())).get(index) or {}
    attribute, value = _hashed(visitor, experiment)
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


def _hashed(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is hashed: the fallback only where it is remembered."""
    remembers = visitor.sticky is not None and not experiment.get("disableStickyBucketing")
    fallback = experiment.get("fallbackAttribute") if remembers else None
    return visitor.hashed(experiment.get("hashAttribute"), fallback)


def _remembered(visitor: EvaluationContext, experiment: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the variation of an earlier visit or -1, and whether an older version blocks it."""
    if visitor.sticky is None or experiment.get("disableStickyBucketing"):
        return -1, False
    kept: dict[str, str] = {}
    for attribute in (experiment.get("fallbackAttribute"), experiment.get("hashAttribute") or "id"):
        if attribute:
            name, value = visitor.hashed(attribute)
            kept |= visitor.sticky.get(f"{name}||{value}", {}).get("assignments", {})
    key = experiment["key"]
    if any(f"{key}__{old}" in kept for old in range(experiment.get("minBucketVersion") or 0)):
        return -1, True
    wanted = kept.get(f"{key}__{experiment.get('bucketVersion') or 0}")
    metas = enumerate(experiment.get("meta") or ())
    return next((i for i, meta in metas if wanted and meta.get("key") == wanted), -1), False


def _remember(
    visitor: EvaluationContext, experiment: Mapping[str, Any], attribute: str, value: str, key: str
) -> None:
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


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """Return what is hashed of an attribute, as JavaScript writes it; empty for what cannot be."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(value)
