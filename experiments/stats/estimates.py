"""First step of a look: the effect of each treatment on each metric, before any rule is applied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.effects import compare, stratify
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from experiments.stats.effect import Effect
    from experiments.stats.look_input import LookInput
    from experiments.stats.metric_input import MetricInput

NO_UNITS = "no unit has completed its window yet"
NO_EPOCH = "no epoch is over with all windows closed yet"


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
    clusters = inputs.clusters
    why_not = clusters.why_not([inputs.control, *inputs.treatments]) if clusters is not None else ""
    return [
        Estimate(metric, variant, None, why_not)
        if why_not
        else Estimate(
            metric, variant, *effect_of(metric, inputs.control, variant, batched=inputs.batched)
        )
        for variant in inputs.treatments
        for metric in inputs.metrics
    ]


def effect_of(
    metric: MetricInput, control: str, treatment: str, *, batched: bool = False
) -> tuple[Effect | None, str]:
    """Return the effect, stratified over the epochs that can be compared, or why there is none.

    Args:
        metric: with its totals.
        control: name of the control.
        treatment: name of the treatment.
        batched: whether epochs weigh by batched least squares: of a bandit, whose shares follow from
            the outcomes of earlier epochs (`_batch_weight`).
    """
    effects, units, why = [], [], NO_EPOCH if batched else NO_UNITS
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
            continue
        units.append(sum(totals.n for totals in epoch.values()))
    if not effects:
        return None, why
    weights = map(_batch_weight, effects, units) if batched else ()
    return stratify(effects, weights=tuple(weights)), ""


def _batch_weight(effect: Effect, units: int) -> float:
    """Return √(N n_c n_t / (n_c + n_t)): an epoch's statistic then counts by its units N alone.

    Mantel and Haenszel's weights depend on the shares, and a bandit's shares on earlier outcomes: a
    treatment that was lucky once would be measured more exactly ever after, and the statistic of no
    difference would not be normal. With these weights it is Σ √N z / √ΣN, z each epoch's own statistic:
    whatever the shares are, a random walk whose clock is the units.

    Reference: Zhang, Janson, Murphy (2020), Inference for batched bandits, NeurIPS (batched ordinary
    least squares; there every batch has the same N).
    """
    both = effect.control_n + effect.treatment_n
    return math.sqrt(units * effect.control_n * effect.treatment_n / both)
