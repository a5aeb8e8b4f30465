"""One treatment beside the control on one metric: all that a scorecard shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.stats.bayes import compare_proportions, shrink
from experiments.stats.confidence_sequence import sequential_p_value
from experiments.stats.effects import PROPORTIONS, Effect, critical_value
from experiments.stats.guardrails import judge_noninferiority
from experiments.stats.metric_input import MetricInput, effect_of
from experiments.stats.multiplicity import holm
from experiments.stats.rules import LATER_THAN_ANY_BOUND, PLANNED_POWER, Evidence
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.stats.policy import Policy


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against the control on one metric.

    Attributes:
        metric: its name.
        variant: the treatment.
        effect: the difference, or None while it cannot be said.
        why_not: why there is no effect.
        critical: half-width of the interval in standard errors.
        interval: of the difference, valid under the rule's way of looking; an end that is not known is
            None.
        lift_interval: of the relative difference.
        shrunk: estimate drawn towards zero, as an early stop overstates it.
        p_value: valid under the rule's way of looking; None where it has only bounds.
        adjusted_p_value: by Holm, over the treatments of a primary, over all secondary comparisons.
        probability_better: for display only, as is
        expected_loss: of choosing the treatment.
        uncapped: the difference without the cap.
        safe: guardrail: whether its loss is shown to be within the margin.
    """

    metric: str
    variant: str
    effect: Effect | None
    why_not: str = ""
    critical: float = LATER_THAN_ANY_BOUND
    interval: tuple[float | None, float | None] | None = None
    lift_interval: tuple[float, float] | None = None
    shrunk: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    probability_better: float | None = None
    expected_loss: float | None = None
    uncapped: float | None = None
    safe: bool | None = None


def describe(
    policy: Policy,
    metric: MetricInput,
    control: str,
    treatment: str,
    found: tuple[Effect | None, str],
    evidence: Evidence | None,
    units: int,
) -> Comparison:
    """Return a comparison with its interval under the rule's way of looking.

    Args:
        policy: the rule.
        metric: which metric.
        control: name of the control.
        treatment: name of the treatment.
        found: the effect, or None and why there is none.
        evidence: what the rule says of the primary, whose critical value holds for all metrics.
        units: complete units of all variants.
    """
    effect, why_not = found
    if effect is None:
        safe = _is_constant(metric, control, treatment) if metric.role == "guardrail" else None
        return Comparison(metric.key, treatment, None, why_not, safe=safe)
    primary = metric.role == "primary"
    critical = evidence.critical if evidence else LATER_THAN_ANY_BOUND
    # A normal prior around zero whose spread is the effect that the plan can detect.
    drift = critical_value(policy.alpha) + critical_value(2 * (1 - PLANNED_POWER))
    detectable = drift * effect.se * min(units / policy.planned_units, 1.0) ** 0.5
    better, loss = _for_display(metric, effect, control, treatment)
    own = evidence.interval if evidence and primary else None
    return Comparison(
        metric=metric.key,
        variant=treatment,
        effect=effect,
        critical=critical,
        interval=own or effect.interval(critical),
        lift_interval=_relative(own, effect) if own else effect.lift_interval(critical),
        shrunk=shrink(effect.estimate, effect.se, detectable),
        p_value=evidence.p_value if evidence and primary else _p_value(policy, effect, units),
        probability_better=better,
        expected_loss=loss,
        uncapped=_uncapped(metric, control, treatment),
        safe=judge_noninferiority(
            effect,
            relative_margin=metric.margin,
            increase_is_good=metric.increase_is_good,
            critical=critical,
        ).holds
        if metric.role == "guardrail"
        else None,
    )


def _p_value(policy: Policy, effect: Effect, units: int) -> float:
    """Return a p-value of a metric that does not decide, valid however often it is looked at."""
    if policy.rule == "fixed":
        return effect.p_value
    return sequential_p_value(
        effect.statistic, units, alpha=policy.alpha, planned_n=policy.planned_units
    )


def _relative(
    interval: tuple[float | None, float | None], effect: Effect
) -> tuple[float, float] | None:
    low, high = interval
    if low is None or high is None or effect.control <= 0:
        return None
    return low / effect.control, high / effect.control


def _is_constant(metric: MetricInput, control: str, treatment: str) -> bool:
    """Whether both variants have one and the same value throughout: no errors at all, say."""
    found = [epoch.get(variant) for epoch in metric.epochs for variant in (control, treatment)]
    sides = [side.moments() for side in found if isinstance(side, Totals) and side.n]
    return len(sides) >= 2 and all(side.yy == 0 and side.y == sides[0].y for side in sides)


def _for_display(
    metric: MetricInput, effect: Effect, control: str, treatment: str
) -> tuple[float, float]:
    """Return P(better) and the expected loss; by Beta posteriors for a plain proportion."""
    plain = metric.kind in PROPORTIONS and effect.variance_reduction is None and len(metric.epochs) == 1
    sides = [metric.epochs[0].get(name) for name in (control, treatment)] if plain else []
    if all(isinstance(side, Totals) for side in sides) and sides:
        c, t = ((side.nonzero, side.n) for side in sides if side is not None)
        posterior = compare_proportions(c, t)
        if metric.increase_is_good:
            return posterior.probability_better, posterior.loss_of_treatment
        return 1 - posterior.probability_better, posterior.loss_of_control
    if metric.increase_is_good:
        return effect.probability_better, effect.expected_loss
    return 1 - effect.probability_better, replace(effect, estimate=-effect.estimate).expected_loss


def _uncapped(metric: MetricInput, control: str, treatment: str) -> float | None:
    if not metric.uncapped:
        return None
    effect, _ = effect_of(replace(metric, epochs=metric.uncapped), control, treatment)
    return effect.estimate if effect else None


def adjust(metrics: Sequence[MetricInput], comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Adjust p-values by Holm: over the treatments on the primary, over all secondary comparisons."""
    roles = {metric.key: metric.role for metric in metrics}
    adjusted = list(comparisons)
    for role in ("primary", "secondary"):
        places = [n for n, row in enumerate(comparisons) if roles[row.metric] == role]
        for n, p in zip(places, holm([comparisons[n].p_value for n in places]), strict=True):
            adjusted[n] = replace(comparisons[n], adjusted_p_value=p)
    return adjusted
