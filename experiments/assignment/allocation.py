"""The rule of one experiment and the decision for one unit."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from experiments.assignment.hashing import buckets_of

Reason = Literal["SPLIT", "DEFAULT", "DISABLED", "TARGETING_MATCH", "STATIC"]
WEIGHT_TOLERANCE = 1e-6


class AllocationError(ValueError):
    """The rule of an experiment cannot be followed."""


@dataclass(frozen=True, slots=True)
class VariantRule:
    """A variant's share of the experiment's traffic, in [0, 1]."""

    key: str
    weight: float


@dataclass(frozen=True, slots=True)
class ExperimentRule:
    """What assignment needs to know of an experiment.

    Attributes:
        key: the experiment's name.
        salt: hashed with the unit; two experiments with one salt would split alike.
        allocation: the share of all traffic that takes part, in [0, 1].
        variants: in a fixed order; the order is part of the rule.

    Raises:
        AllocationError: weights do not sum to 1, or a share lies outside [0, 1].
    """

    key: str
    salt: str
    allocation: float
    variants: tuple[VariantRule, ...]
    edges: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.allocation <= 1:
            raise AllocationError(f"allocation == {self.allocation:g}, must be in [0, 1].")
        for variant in self.variants:
            if not 0 <= variant.weight <= 1:
                raise AllocationError(f"weight == {variant.weight:g}, must be in [0, 1].")
        total = sum(variant.weight for variant in self.variants)
        if abs(total - 1) > WEIGHT_TOLERANCE:
            raise AllocationError(f"sum of weights == {total:g}, must be 1.")
        upper = list(accumulate(variant.weight for variant in self.variants))
        # The last variant that takes traffic ends at exactly 1, whatever the sum rounded to, so
        # that no bucket falls past it into a variant of weight zero.
        last = max(i for i, variant in enumerate(self.variants) if variant.weight > 0)
        upper[last:] = [1.0] * (len(upper) - last)
        object.__setattr__(self, "edges", tuple(upper))


@dataclass(frozen=True, slots=True)
class Assignment:
    """The decision for one unit: a variant, or none with the reason in OpenFeature's words."""

    variant: str | None
    reason: Reason


_OUTSIDE = Assignment(variant=None, reason="DEFAULT")


def assign(rule: ExperimentRule, unit_id: str) -> Assignment:
    """Decide which variant a unit gets.

    The same unit gets the same variant for as long as salt, order and weights stay; raising the
    allocation only adds units.
    """
    gate, bucket = buckets_of(rule.salt, unit_id)
    if gate >= rule.allocation:
        return _OUTSIDE
    return Assignment(variant=rule.variants[bisect_right(rule.edges, bucket)].key, reason="SPLIT")
