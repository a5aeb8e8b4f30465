"""First step of a look: the effect of each treatment on each metric, before any rule is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.effects import compare, stratify
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from experiments.stats.effect import Effect
    from experiments.stats.look_input import LookInput
    from experiments.stats.metric_input import MetricInput

NO_UNITS = "no unit has completed its window yet"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One treatment against the control on one metric, as the totals have it.

    Attributes:
        metric: with its totals.
        variant: the treatment.
        effect: treatment − control, stratified over the epochs; None where none can be compared.
        why_not: why there is no effect, or nothing.
    """

    metric: MetricInput
    variant: str
    effect: Effect | None
    why_not: str = ""


def estimate(inputs: LookInput) -> list[Estimate]:
    """Return every treatment on every metric, in the order of both."""
    return [
        Estimate(metric, variant, *effect_of(metric, inputs.control, variant))
        for variant in inputs.treatments
        for metric in inputs.metrics
    ]


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
            # An epoch of one unit says nothing; the others still do.
            why = str(error)
    return (stratify(effects), "") if effects else (None, why)
