"""One metric of an experiment as a look reads it: totals by variant, one set an epoch."""

from __future__ import annotations

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
    """Small counts make every normal approximation wrong: say nothing before the gate."""
    proportion = metric.kind in PROPORTIONS
    least = policy.minimum_conversions if proportion else policy.minimum_nonzero
    word = "conversions" if proportion else "units with a value"
    for variant in (control, treatment):
        have = sum(epoch[variant].nonzero for epoch in metric.epochs if variant in epoch)
        if have < least:
            return f"{word} in '{variant}' == {have}, must be at least {least} before a verdict"
    return ""
