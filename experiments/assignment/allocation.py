"""The rule of one experiment and the decision for one unit.

A unit passes the experiment's checks in order: kill switch, forced variant, kept variant, holdout,
layer, targeting, prerequisites, gate; then its bucket finds the variant. `assign` stops at the first
that fails; `explain` tells every outcome.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .conditions import compile_condition
from .hashing import buckets_of, growthbook_bucket
from .memory import NOTHING_RECALLED, Recall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rules = Mapping[str, "ExperimentRule"]

Reason = Literal["SPLIT", "DEFAULT", "DISABLED", "TARGETING_MATCH", "STATIC"]
Hashing = Literal["sha256", "growthbook_v2"]
# Weights are typed by people, as thirds are: 0.333333 three times is meant as 1.
WEIGHT_TOLERANCE = 1e-6
MAX_CLUSTER = 200  # characters of a cluster's name: a column is as wide
NOTHING: Mapping[str, Any] = MappingProxyType({})


def block_of(at: float, block_seconds: float) -> int:
    """Return the number of the block of time: `at`, in seconds since 1970, over the blocks' length."""
    return int(at // block_seconds)


def is_whole(total: float) -> bool:
    """Whether a sum of weights is 1."""
    return abs(total - 1) <= WEIGHT_TOLERANCE


class AllocationError(ValueError):
    """The rule of an experiment cannot be followed."""


@dataclass(frozen=True, slots=True)
class VariantRule:
    """A variant's share of the experiment's traffic, in [0, 1], and what a flag's client gets."""

    key: str
    weight: float
    value: Any = None


class Check(Protocol):
    """One condition of taking part."""

    @property
    def name(self) -> str:
        """Return what is checked."""

    def passes(self, unit_id: str, attributes: Mapping[str, Any], others: Rules) -> bool:
        """Whether the unit passes."""


@dataclass(frozen=True, slots=True)
class HashRange:
    """A range of the units of a layer, or those outside a holdout.

    Layers and holdouts are shared by experiments of either hashing, so they are hashed in the one way
    that every client knows: GrowthBook's second, 10,000 buckets.

    Attributes:
        name: "layer NAME" or "holdout".
        salt: of the layer or holdout, not of the experiment.
        low: in [0, 1].
        high: above it.
    """

    name: str
    salt: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise AllocationError(
                f"{self.name}: range == [{self.low:g}, {self.high:g}), must lie in [0, 1], not empty."
            )

    def passes(self, unit_id: str, attributes: Mapping[str, Any], others: Rules) -> bool:  # noqa: ARG002
        """Whether the unit's bucket lies in the range."""
        return self.low <= _place(self.salt, unit_id) < self.high


# A request asks for one unit in each experiment of the layer; units of the moment fit.
@lru_cache(maxsize=4096)
def _place(salt: str, unit_id: str) -> float:
    """Return a unit's place in a layer: asked once for every experiment in it."""
    place = growthbook_bucket(salt, unit_id, 2)
    assert place is not None  # noqa: S101  version 2 always has one
    return place


@dataclass(frozen=True, slots=True)
class Targeting:
    """Whom an experiment is for: a condition over attributes; `id` is the unit's."""

    condition: Mapping[str, Any]
    groups: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(default="targeting", init=False)
    _test: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_test", compile_condition(self.condition, self.groups))

    def passes(self, unit_id: str, attributes: Mapping[str, Any], others: Rules) -> bool:  # noqa: ARG002
        """Whether the condition holds."""
        if attributes.get("id") != unit_id:
            attributes = {**attributes, "id": unit_id}
        return bool(self._test(attributes))


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another experiment in which the unit must have one of some variants."""

    experiment: str
    variants: frozenset[str]
    name: str = field(default="prerequisite", init=False)

    def passes(self, unit_id: str, attributes: Mapping[str, Any], others: Rules) -> bool:
        """Whether the other experiment runs and gives the unit such a variant."""
        other = others.get(self.experiment)
        return (
            other is not None
            and assign(other, unit_id, attributes, others=others).variant in self.variants
        )


@dataclass(frozen=True, slots=True)
class ExperimentRule:
    """What assignment needs to know of an experiment.

    Attributes:
        key: the experiment's name.
        salt: hashed with the unit; two experiments with one salt would split alike.
        allocation: the share of all traffic that takes part, in [0, 1].
        variants: in a fixed order; the order is part of the rule.
        hashing: how units are hashed: by SHA-256, or as GrowthBook's SDKs do.
        checks: what a unit must pass, in order.
        forced: variants that people set for units, by unit; they do not count.
        enabled: False, the kill switch, gives nobody a variant.
        cluster_by: the attribute whose value is hashed in the unit's place; empty: the unit is.
        block_seconds: length of the blocks of time whose number is hashed in the unit's place; 0: none.
        layout: who holds which part of [0, 1): pairs of variant and width in order. Empty: one part
            each, in order. Re-weighting moves parts, so that as few units as possible change.

    Raises:
        AllocationError: weights do not sum to 1, or a share lies outside [0, 1].
    """

    key: str
    salt: str
    allocation: float
    variants: tuple[VariantRule, ...]
    hashing: Hashing = "sha256"
    checks: tuple[Check, ...] = ()
    forced: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    cluster_by: str = ""
    block_seconds: float = 0.0
    layout: tuple[tuple[str, float], ...] = ()
    boundaries: tuple[float, ...] = field(init=False, repr=False, compare=False)
    range_variants: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.allocation <= 1:
            raise AllocationError(f"allocation == {self.allocation:g}, must be in [0, 1].")
        for variant in self.variants:
            if not 0 <= variant.weight <= 1:
                raise AllocationError(f"weight == {variant.weight:g}, must be in [0, 1].")
        total = sum(variant.weight for variant in self.variants)
        if not is_whole(total):
            raise AllocationError(f"sum of weights == {total:g}, must be 1.")
        layout = self.layout or tuple((v.key, v.weight) for v in self.variants)
        upper = list(accumulate(width for _, width in layout))
        # The last part that takes traffic ends at exactly 1, whatever the sum rounded to, so
        # that no bucket falls past it into a variant of weight zero.
        last = max(i for i, (_, width) in enumerate(layout) if width > 0)
        upper[last:] = [1.0] * (len(upper) - last)
        object.__setattr__(self, "boundaries", tuple(upper))
        object.__setattr__(self, "range_variants", tuple(key for key, _ in layout))

    def ranges(self) -> list[tuple[float, float]]:
        """Return the buckets of each part under GrowthBook's hashing: its first `allocation`."""
        lows = (0.0, *self.boundaries[:-1])
        return [
            (low, low + self.allocation * (high - low))
            for low, high in zip(lows, self.boundaries, strict=True)
        ]

    @property
    def draws_units(self) -> bool:
        """Whether a unit's own hash decides: its variant is known wherever its name is."""
        return not self.cluster_by and not self.block_seconds

    def subject_of(self, unit_id: str, attributes: Mapping[str, Any]) -> str | None:
        """Return what is hashed: the unit, the block of now, or the unit's cluster; None without one.

        A text or a whole number names one, as PostgreSQL writes it: the analysis reads it from there.
        """
        if self.block_seconds:
            return str(block_of(time(), self.block_seconds))
        if not self.cluster_by:
            return unit_id
        value = attributes.get(self.cluster_by)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return value if isinstance(value, str) and 0 < len(value) <= MAX_CLUSTER else None

    def value_of(self, variant: str) -> Any:
        """Return what a client of the flag gets: the variant's value, or its name."""
        value = next(v.value for v in self.variants if v.key == variant)
        return variant if value is None else value


@dataclass(frozen=True, slots=True)
class Assignment:
    """The decision for one unit.

    Attributes:
        variant: its key, or None.
        reason: in OpenFeature's words.
        forced: set by a person: it does not count for analysis.
    """

    variant: str | None
    reason: Reason
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One rule's outcome for a unit: its name, whether it was passed, and why in a few words."""

    name: str
    passed: bool
    said: str = ""


OUTSIDE = Assignment(variant=None, reason="DEFAULT")
KILLED = Assignment(variant=None, reason="DISABLED")


def assign(
    rule: ExperimentRule,
    unit_id: str,
    attributes: Mapping[str, Any] = NOTHING,
    *,
    others: Rules = NOTHING,
    recalled: Recall = NOTHING_RECALLED,
) -> Assignment:
    """Decide which variant a unit gets.

    The same unit gets the same variant for as long as salt, order and weights stay; raising the
    allocation only adds units.

    Args:
        rule: the experiment.
        unit_id: who.
        attributes: of the unit and of the request, for targeting.
        others: rules by key, for prerequisites.
        recalled: what the experiment remembers of the unit.
    """
    # A plain split, the common case on the hot path, goes straight to its bucket.
    if rule.checks or rule.forced or recalled is not NOTHING_RECALLED or not rule.enabled:
        if not rule.enabled:
            return KILLED
        # Before what is remembered: a person who tests wants another variant than the unit has.
        forced = rule.forced.get(unit_id)
        if forced is not None:
            return Assignment(forced, "STATIC", forced=True)
        if recalled.blocked:
            return OUTSIDE
        # Before the checks: a unit keeps its variant even when it no longer meets the conditions.
        if recalled.variant is not None:
            return Assignment(recalled.variant, "SPLIT")
        for check in rule.checks:
            if not check.passes(unit_id, attributes, others):
                return OUTSIDE
    variant = _bucket(rule, rule.subject_of(unit_id, attributes))
    return OUTSIDE if variant is None else Assignment(variant, "SPLIT")


def hashed_variant(rule: ExperimentRule, unit_id: str) -> str | None:
    """Return the variant that a unit's hashes alone allow, or None where they leave it out.

    Layer, holdout, gate and bucket are checked; conditions over attributes and prerequisites are taken
    to hold, since the caller does not know what the client saw. Of a rule by clusters or by blocks of
    time nothing is known: the unit does not say which one it is in.
    """
    if not rule.draws_units:
        return None
    for check in rule.checks:
        if isinstance(check, HashRange) and not check.passes(unit_id, NOTHING, NOTHING):
            return None
    return _bucket(rule, unit_id)


def _bucket(rule: ExperimentRule, unit_id: str | None) -> str | None:
    """Return the variant of a unit that passed every check, or None beyond the allocation.

    Args:
        rule: the experiment.
        unit_id: the unit, its cluster or its block of time; None where it has none.
    """
    if unit_id is None:
        return None
    if rule.hashing == "sha256":
        gate, bucket = buckets_of(rule.salt, unit_id)
        return (
            None
            if gate >= rule.allocation
            else rule.range_variants[bisect_right(rule.boundaries, bucket)]
        )
    # A measured holdout has the salt of the holdout, so its units are hashed once for both.
    place = _place(rule.salt, unit_id)
    for (low, high), variant in zip(rule.ranges(), rule.range_variants, strict=True):
        if low <= place < high:
            return variant
    return None


def explain(
    rule: ExperimentRule,
    unit_id: str,
    attributes: Mapping[str, Any] = NOTHING,
    *,
    others: Rules = NOTHING,
    recalled: Recall = NOTHING_RECALLED,
) -> list[Step]:
    """Return each rule's outcome, also of those that `assign` would not reach.

    Args: as of `assign`.
    """
    steps = [Step("enabled", rule.enabled)]
    if unit_id in rule.forced:
        steps.append(Step("forced", passed=True, said=rule.forced[unit_id]))
    if recalled.blocked:
        steps.append(Step("blocked", passed=False, said=recalled.why))
    elif recalled.why:
        steps.append(Step("kept", passed=recalled.variant is not None, said=recalled.why))
    steps += [
        Step(check.name, check.passes(unit_id, attributes, others), _details(check))
        for check in rule.checks
    ]
    subject = rule.subject_of(unit_id, attributes)
    if rule.cluster_by:
        named = f"{rule.cluster_by} == {subject!r}" if subject else f"{rule.cluster_by} is missing"
        steps.append(Step("cluster", subject is not None, named))
    if rule.block_seconds:
        steps.append(Step("block", passed=True, said=f"{subject} of {rule.block_seconds:g} s"))
    variant = _bucket(rule, subject)
    steps.append(Step("gate", variant is not None, f"allocation {rule.allocation:.2%}"))
    if variant is not None:
        steps.append(Step("bucket", passed=True, said=variant))
    return steps


def _details(check: Check) -> str:
    if isinstance(check, HashRange):
        return f"{check.low:g} to {check.high:g}"
    if isinstance(check, Prerequisite):
        return f"{check.experiment} in {sorted(check.variants)}"
    return ""


def reallocate(
    layout: Sequence[tuple[str, float]], weights: Mapping[str, float]
) -> tuple[tuple[str, float], ...]:
    """Return the layout of other weights that moves as few units as possible.

    A variant that shrinks frees its last part; one that grows takes what is free, in order. The
    share of units that change is half the sum of the weights' differences, which no rule can go below,
    and going back to the previous weights of two variants gives every unit its variant back.

    Args:
        layout: pairs of variant and width, in order.
        weights: new weight of every variant, summing to 1.
    """
    held = dict.fromkeys(weights, 0.0)
    for key, width in layout:
        held[key] = held.get(key, 0.0) + width
    frees = {key: max(held[key] - weights.get(key, 0.0), 0.0) for key in held}
    needs = [(key, weights[key] - held[key]) for key in weights if weights[key] > held[key]]
    pieces: list[tuple[str | None, float]] = []
    for key, width in reversed(layout):
        freed = min(frees[key], width)
        frees[key] -= freed
        # Reversed: what is freed lies behind what stays.
        pieces += [(None, freed), (key, width - freed)]
    return _merge(_hand_out(list(reversed(pieces)), needs))


def _hand_out(
    pieces: Sequence[tuple[str | None, float]], needs: list[tuple[str, float]]
) -> list[tuple[str, float]]:
    """Return the pieces with every free one given to the variants that need it, in order.

    Args:
        pieces: variant or None, and width, in order.
        needs: variant and the width that it lacks; used up.
    """
    reallocated: list[tuple[str, float]] = []
    for holder, width in pieces:
        if holder is not None:
            reallocated.append((holder, width))
            continue
        rest = width
        while rest > 0 and needs:
            taker, needed = needs[0]
            taken = min(needed, rest)
            reallocated.append((taker, taken))
            rest -= taken
            needs[0] = (taker, needed - taken)
            if needs[0][1] <= 0:
                needs.pop(0)
        if rest > 0 and reallocated:  # what rounding left over
            reallocated[-1] = (reallocated[-1][0], reallocated[-1][1] + rest)
    return reallocated


def _merge(parts: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Join neighbours of one variant and drop empty parts."""
    merged: list[tuple[str, float]] = []
    for key, width in parts:
        # What rounding leaves behind: no bucket of 10,000 lies in it.
        if width <= WEIGHT_TOLERANCE / 1000:
            continue
        if merged and merged[-1][0] == key:
            merged[-1] = (key, merged[-1][1] + width)
        else:
            merged.append((key, width))
    return tuple(merged)
