"""Whom GrowthBook's payload is evaluated for, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .conditions import compile_condition

if TYPE_CHECKING:
    from collections.abc import Mapping


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


def _text(value: Any) -> str:
    """Return what is hashed of an attribute, as JavaScript writes it; empty for what cannot be."""
    if isinstance(value, str):
        return value
    # JavaScript takes 0 and false for no value, and hashes neither.
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e21 else repr(value)
