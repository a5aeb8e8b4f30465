"""Second step of a look: are there enough counts for the normal approximation?

Only a ship waits for counts. Below the gate a treatment is still tested, by a statistic that keeps its
level for the counts there are (`small_counts`): what comes of it can only be a loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.kinds import PROPORTIONS
from experiments.stats.small_counts import guard

if TYPE_CHECKING:
    from experiments.stats.effect import Effect
    from experiments.stats.estimates import Estimate
    from experiments.stats.metric_input import MetricInput
    from experiments.stats.policy import Policy


@dataclass(frozen=True, slots=True)
class GatedEstimate:
    """An estimate with the statistic that it may be tested by.

    Attributes:
        estimate: as it is shown.
        tested: the effect with a statistic that keeps its level for the counts there are; None
            without an effect.
        too_few: why no ship can come of it yet, or why there is no effect; else nothing.
    """

    estimate: Estimate
    tested: Effect | None
    too_few: str

    @property
    def metric(self) -> MetricInput:
        """Which metric."""
        return self.estimate.metric

    @property
    def variant(self) -> str:
        """Which treatment."""
        return self.estimate.variant

    @property
    def effect(self) -> Effect | None:
        """The effect as it is shown."""
        return self.estimate.effect


def gate(policy: Policy, estimate: Estimate, *, control: str) -> GatedEstimate:
    """Decide by which statistic an estimate is tested."""
    effect = estimate.effect
    if effect is None:
        return GatedEstimate(estimate, None, estimate.why_not)
    too_few = why_too_few(policy, estimate.metric, control, estimate.variant)
    return GatedEstimate(estimate, guard(effect) if too_few else effect, too_few)


def why_too_few(policy: Policy, metric: MetricInput, control: str, treatment: str) -> str:
    """Say what is missing before a ship: small counts make every normal approximation wrong.

    What counts is what each variant would be expected to have if they did not differ, from both
    together: a variant that converts nobody does not hide behind its own zero. The exact rule, whose
    likelihood is right for any counts, waits for none on the metric that it judges.
    """
    few = find_shortfall(policy, metric, control, treatment)
    return "" if few is None else few.sentence


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A variant that is not expected to have as many values as the gate wants.

    Attributes:
        variant: which.
        is_share: whether conversions are counted, or units with a value.
        expected: how many it would have if the two did not differ.
        required: how many it must have.
    """

    variant: str
    is_share: bool
    expected: float
    required: int

    @property
    def sentence(self) -> str:
        """As looks store it."""
        word = "conversions" if self.is_share else "units with a value"
        return (
            f"expected {word} in '{self.variant}' == {self.expected:.4g}, must be at least "
            f"{self.required} before a ship"
        )


def find_shortfall(
    policy: Policy, metric: MetricInput, control: str, treatment: str
) -> Shortfall | None:
    """Return the first of two variants with too few values; None where both have enough."""
    if policy.rule == "exact" and metric.role == "primary":
        return None
    pairs = [
        (epoch[control], epoch[treatment])
        for epoch in metric.epochs
        if control in epoch and treatment in epoch and epoch[control].n + epoch[treatment].n
    ]
    shares = [(c.nonzero + t.nonzero) / (c.n + t.n) for c, t in pairs]
    units = [sum(pair[side].n for pair in pairs) for side in (0, 1)]
    required = gate_of(policy, metric.kind, *units)
    for side, variant in enumerate((control, treatment)):
        expected = sum(share * pair[side].n for share, pair in zip(shares, pairs, strict=True))
        if expected < required:
            return Shortfall(variant, metric.kind in PROPORTIONS, expected, required)
    return None


def gate_of(policy: Policy, kind: str, control_n: int, treatment_n: int) -> int:
    """Return the conversions, or units with a value, that each variant must be expected to have.

    The skewness of values cancels in the difference of two equal groups and does not in unequal ones:
    the gate of a mean grows with the root of their ratio (docs/decisions/0008).
    """
    if kind in PROPORTIONS:
        return policy.minimum_conversions
    smaller, larger = sorted((max(control_n, 1), max(treatment_n, 1)))
    # Rounding of the root must not ask for one unit more than its exact value does.
    return math.ceil(policy.minimum_nonzero * math.sqrt(larger / smaller) - 1e-9)
