"""One metric of an experiment as a look reads it: totals by variant, one set an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from experiments.stats.effects import PROPORTIONS, Kind, Summary, compare, stratify
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.stats.effect import Effect
    from experiments.stats.policy import Policy

Role = Literal["primary", "secondary", "guardrail"]
NO_UNITS = "no unit has completed its window yet"


@dataclass(frozen=True, slots=True)
class MetricInput:
    """One metric's totals: per epoch, per variant.

    Attributes:
        key: the metric's name.
        kind: proportion, mean, ratio, quantile, retention or funnel.
        role: primary, secondary or guardrail.
        increase_is_good: direction.
        margin: guardrail: the relative loss that is still accepted.
        epochs: totals by variant, or sketches of a quantile, one mapping an epoch.
        quantile: which, of kind quantile.
        uncapped: totals of the same units without the cap, where values are capped.
    """

    key: str
    kind: Kind
    role: Role
    increase_is_good: bool
    margin: float
    epochs: Sequence[Mapping[str, Summary]]
    quantile: float = 0.5
    uncapped: Sequence[Mapping[str, Totals]] = ()


def effect_of(metric: MetricInput, control: str, treatment: str) -> tuple[Effect | None, str]:
    """Return the effect, stratified over the epochs that can be compared, or why there is none."""
    effects, why = [], NO_UNITS
    for epoch in metric.epochs:
        if control not in epoch or treatment not in epoch:
            continue
        try:
            effects.append(
                compare(
                    metric.kind,
                    epoch[control],
                    epoch[treatment],
                    quantile=metric.quantile,
                    cautious=True,
                )
            )
        except StatisticsError as error:
            why = str(error)
    return (stratify(effects), "") if effects else (None, why)


def why_too_few(policy: Policy, metric: MetricInput, control: str, treatment: str) -> str:
    """Say what is missing before a ship: small counts make every normal approximation wrong.

    What counts is what each variant would be expected to have if they did not differ, from both
    together: a variant that converts nobody does not hide behind its own zero. The exact rule, whose
    likelihood is right for any counts, waits for none on the metric that it judges.
    """
    if policy.rule == "exact" and metric.role == "primary":
        return ""
    word = "conversions" if metric.kind in PROPORTIONS else "units with a value"
    pairs = [
        (epoch[control], epoch[treatment])
        for epoch in metric.epochs
        if control in epoch and treatment in epoch and epoch[control].n + epoch[treatment].n
    ]
    shares = [(c.nonzero + t.nonzero) / (c.n + t.n) for c, t in pairs]
    units = [sum(pair[side].n for pair in pairs) for side in (0, 1)]
    least = gate_of(policy, metric.kind, *units)
    for side, variant in enumerate((control, treatment)):
        expected = sum(share * pair[side].n for share, pair in zip(shares, pairs, strict=True))
        if expected < least:
            return (
                f"expected {word} in '{variant}' == {expected:.4g}, must be at least {least} before "
                "a ship"
            )
    return ""


def gate_of(policy: Policy, kind: str, control_n: int, treatment_n: int) -> int:
    """Return the conversions, or units with a value, that each variant must be expected to have.

    The skewness of values cancels in the difference of two equal groups and does not in unequal ones:
    the gate of a mean grows with the root of their ratio (docs/decisions/0008).
    """
    if kind in PROPORTIONS:
        return policy.minimum_conversions
    smaller, larger = sorted((max(control_n, 1), max(treatment_n, 1)))
    return math.ceil(policy.minimum_nonzero * math.sqrt(larger / smaller) - 1e-9)
