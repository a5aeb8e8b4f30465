"""One treatment beside the control on one metric: all that a scorecard shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.stats.bayes import compare_proportions, shrink
from experiments.stats.confidence_sequence import half_width_in_se, sequential_p_value
from experiments.stats.effect import MIN_P
from experiments.stats.effects import PROPORTIONS, critical_value
from experiments.stats.guardrails import evaluate_harm, judge_noninferiority
from experiments.stats.metric_input import MetricInput, effect_of, why_too_few
from experiments.stats.multiplicity import holm
from experiments.stats.rules import PLANNED_POWER, RuleOutcome
from experiments.stats.small_counts import guard
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.stats.effect import Effect, Interval
    from experiments.stats.policy import Policy


@dataclass(frozen=True, slots=True)
class Comparison:
    """One treatment against the control on one metric.

    The interval excludes 0 exactly where p_value ≤ level, and on the primary exactly where the rule's
    bound is crossed: they are one test.

    Attributes:
        metric: its name.
        variant: the treatment.
        effect: the difference, or None while it cannot be said.
        why_not: why there is no effect, or no interval.
        critical: half-width of the interval in standard errors; None without an interval.
        ends: critical values of the interval's lower and upper end; a guardrail's differ.
        interval: of the difference, valid under the rule's way of looking; an end that is not known is
            None. Of a guardrail the end on its good side is that of the test of harm, the other that
            of the test of safety.
        lift_interval: of the relative difference.
        lift_why_not: why there is none.
        shrunk: estimate drawn towards zero, as an early stop overstates it.
        p_value: of this look, under the rule's way of looking.
        level: what p_value must not exceed for a verdict; None when the look does not test.
        adjusted_p_value: to be held against the policy's alpha. Of a primary p_value · alpha / level,
            which says what the verdict says; by Holm over all secondary comparisons.
        probability_better: for display only, as is
        expected_loss: of choosing the treatment.
        uncapped: the difference without the cap.
        safe: guardrail: whether its loss is shown to be within the margin.
        harmed: guardrail: whether it is shown to be worse.
    """

    metric: str
    variant: str
    effect: Effect | None
    why_not: str = ""
    critical: float | None = None
    ends: tuple[float, float] | None = None
    interval: Interval | None = None
    lift_interval: tuple[float, float] | None = None
    lift_why_not: str = ""
    shrunk: float | None = None
    p_value: float | None = None
    level: float | None = None
    adjusted_p_value: float | None = None
    probability_better: float | None = None
    expected_loss: float | None = None
    uncapped: float | None = None
    safe: bool | None = None
    harmed: bool | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """What all comparisons of one treatment stand on.

    Attributes:
        policy: the rule.
        control: name of the control.
        treatment: name of the treatment.
        units: complete units of all variants.
        evidence: what the rule says of the primary, or None where it cannot be compared.
        unhealthy: why nothing may be concluded at all, or nothing.
    """

    policy: Policy
    control: str
    treatment: str
    units: int
    evidence: RuleOutcome | None
    unhealthy: str = ""


@dataclass(frozen=True, slots=True)
class _IntervalTest:
    """An interval with its test."""

    critical: float
    interval: Interval
    p_value: float
    level: float | None
    safe: bool | None = None
    harmed: bool | None = None
    # At which critical values the two ends stand, where they are not one and the same.
    apart: tuple[float, float] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Critical values of the lower and of the upper end."""
        return self.apart or (self.critical, self.critical)


def describe(ground: Ground, metric: MetricInput, effect: Effect | None, why_not: str) -> Comparison:
    """Return a comparison with its interval under the rule's way of looking.

    Args:
        ground: what is common to the treatment's comparisons.
        metric: which metric.
        effect: of the metric, or None.
        why_not: why there is none.
    """
    control, treatment = ground.control, ground.treatment
    if effect is None:
        safe = _is_constant(metric, control, treatment) if metric.role == "guardrail" else None
        return Comparison(metric.key, treatment, None, why_not, safe=safe)
    too_few = why_too_few(ground.policy, metric, control, treatment)
    tested = guard(effect) if too_few else effect
    judged = _judge(ground, metric, tested)
    # A normal prior around zero whose spread is the effect that the plan can detect.
    policy = ground.policy
    drift = critical_value(policy.alpha) + critical_value(2 * (1 - PLANNED_POWER))
    detectable = drift * effect.se * min(ground.units / policy.planned_units, 1.0) ** 0.5
    better, loss = _for_display(metric, effect, control, treatment)
    row = Comparison(
        metric=metric.key,
        variant=treatment,
        effect=effect,
        shrunk=shrink(effect.estimate, effect.se, detectable),
        p_value=max(judged.p_value, MIN_P),
        level=judged.level,
        probability_better=better,
        expected_loss=loss,
        uncapped=_uncapped(metric, control, treatment),
        safe=judged.safe,
        harmed=judged.harmed,
    )
    waits = ground.unhealthy or (ground.evidence.waits if ground.evidence else "")
    # One look at a few units has Student's interval, marked as what it is; else there is none yet.
    marked = policy.rule == "fixed" and tested.is_linear
    if waits or (too_few and not marked):
        why = waits or too_few
        # A loss is judged all the same, a gain is not: its p-value is held against nothing.
        judges_loss = not waits and (effect.estimate < 0) == metric.increase_is_good
        level = judged.level if metric.role == "guardrail" or judges_loss else None
        return replace(row, why_not=why, lift_why_not=why, level=level)
    lift, no_lift = _relative(policy, metric, tested, judged)
    return replace(
        row,
        why_not=too_few,
        critical=judged.critical,
        ends=judged.ends,
        interval=judged.interval,
        lift_interval=lift,
        lift_why_not=no_lift,
    )


def _judge(ground: Ground, metric: MetricInput, effect: Effect) -> _IntervalTest:
    """Return the test that the metric's role asks for, with its interval."""
    policy, evidence, units = ground.policy, ground.evidence, max(ground.units, 1)
    if metric.role == "primary" and evidence is not None:
        return _IntervalTest(evidence.critical, evidence.interval, evidence.p_value, evidence.level)
    if metric.role == "guardrail":
        return _judge_guardrail(ground, metric, effect)
    if policy.rule == "fixed":
        critical = critical_value(policy.alpha, effect.df)
        return _IntervalTest(critical, effect.interval(critical), effect.p_value, policy.alpha)
    given = {"alpha": policy.alpha, "planned_n": policy.planned_units}
    critical = effect.of_statistic(half_width_in_se(units, **given))
    p_value = sequential_p_value(effect.z, units, **given)
    return _IntervalTest(critical, effect.interval(critical), p_value, policy.alpha)


def _judge_guardrail(ground: Ground, metric: MetricInput, effect: Effect) -> _IntervalTest:
    """Return the interval whose one end decides on harm and whose other end decides on safety.

    Where it would exclude 0 on the good side on the strength of the test of safety alone, it is held
    open: nobody tests a guardrail for being better.
    """
    up = metric.increase_is_good
    harm = evaluate_harm(effect, increase_is_good=up, units=max(ground.units, 1), policy=ground.policy)
    critical = ground.evidence.critical if ground.evidence else harm.width
    safety = judge_noninferiority(
        effect, relative_margin=metric.margin, increase_is_good=up, critical=critical
    )
    wide, narrow = effect.interval(harm.width), effect.interval(critical)
    worst, best = (narrow[0], wide[1]) if up else (narrow[1], wide[0])
    if worst is not None and (worst > 0) == up:
        worst = 0.0
    return _IntervalTest(
        critical=critical,
        interval=(worst, best) if up else (best, worst),
        apart=(critical, harm.width) if up else (harm.width, critical),
        p_value=harm.p_value,
        level=harm.level,
        safe=safety.holds,
        harmed=harm.harmed,
    )


def _relative(
    policy: Policy, metric: MetricInput, effect: Effect, judged: _IntervalTest
) -> tuple[tuple[float, float] | None, str]:
    """Return the relative interval that agrees with the absolute one, or why there is none."""
    if metric.role == "primary" and policy.rule == "exact":
        low, high = judged.interval
        if low is None or high is None or effect.control <= 0:
            return None, "the interval of the odds has no end yet"
        return (low / effect.control, high / effect.control), ""
    (lower, why_not), (upper, why_no_upper) = map(effect.relative, judged.ends)
    if lower is None or upper is None:
        return None, why_not or why_no_upper
    lift = lower[0], upper[1]
    # What holds the absolute interval open at 0 holds the relative one open too.
    low, high = judged.interval
    if low is not None and low <= 0:
        lift = min(lift[0], 0.0), lift[1]
    if high is not None and high >= 0:
        lift = lift[0], max(lift[1], 0.0)
    return lift, ""


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


def adjust(
    metrics: Sequence[MetricInput], comparisons: Sequence[Comparison], *, alpha: float
) -> list[Comparison]:
    """Adjust p-values so that they are held against alpha.

    On the primary the treatments and the looks have shared alpha already (Holm's step of one look,
    equal parts else): what is left is the scale, so that the adjusted p-value says what the verdict
    says. Over all secondary comparisons, which decide nothing, it is Holm's.
    """
    roles = {metric.key: metric.role for metric in metrics}
    adjusted = [
        replace(row, adjusted_p_value=_on_scale_of(alpha, row))
        if roles[row.metric] == "primary"
        else row
        for row in comparisons
    ]
    places = [n for n, row in enumerate(comparisons) if roles[row.metric] == "secondary"]
    for n, p in zip(places, holm([comparisons[n].p_value for n in places]), strict=True):
        adjusted[n] = replace(comparisons[n], adjusted_p_value=p)
    return adjusted


def _on_scale_of(alpha: float, row: Comparison) -> float | None:
    """Return p · alpha / level, on its side of alpha whatever the last digits are."""
    if row.p_value is None or not row.level:
        return None
    scaled = min(row.p_value * (alpha / row.level), 1.0)
    if row.p_value <= row.level:
        return min(scaled, alpha)
    return max(scaled, math.nextafter(alpha, 1.0))
