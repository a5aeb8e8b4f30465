"""One metric of an experiment as a look reads it: totals by variant, one set an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from experiments.stats.effects import PROPORTIONS, Effect, Kind, Summary, compare, stratify
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
                compare(metric.kind, epoch[control], epoch[treatment], quantile=metric.quantile)
            )
        except StatisticsError as error:
            why = str(error)
    return (stratify(effects), "") if effects else (None, why)


def why_too_few(policy: Policy, metric: MetricInput, control: str, treatment: str) -> str:
    """Say what is missing before a verdict: small counts make every normal approximation wrong."""
    proportion = metric.kind in PROPORTIONS
    word = "conversions" if proportion else "units with a value"
    units = {
        variant: sum(epoch[variant].n for epoch in metric.epochs if variant in epoch)
        for variant in (control, treatment)
    }
    least = gate_of(policy, metric.kind, *units.values())
    for variant in units:
        have = sum(epoch[variant].nonzero for epoch in metric.epochs if variant in epoch)
        if have < least:
            return f"{word} in '{variant}' == {have}, must be at least {least} before a verdict"
    return ""


def gate_of(policy: Policy, kind: str, control_n: int, treatment_n: int) -> int:
    """Return the conversions, or units with a value, that each variant must have.

    The skewness of values cancels in the difference of two equal groups and does not in unequal ones:
    the gate of a mean grows with the root of their ratio (docs/decisions/0008).
    """
    if kind in PROPORTIONS:
        return policy.minimum_conversions
    smaller, larger = sorted((max(control_n, 1), max(treatment_n, 1)))
    return math.ceil(policy.minimum_nonzero * math.sqrt(larger / smaller) - 1e-9)
