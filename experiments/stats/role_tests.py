"""Fourth step of a look: each metric's interval, and the test that its role asks for.

primary     by the rule of the policy
guardrail   its end on the bad side by the test of safety, on the good side by the test of harm
secondary   by a confidence sequence, or in one fixed look by Student's or the normal test
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments.kinds import PROPORTIONS
from experiments.stats.bayes import compare_proportions, shrink
from experiments.stats.comparison import Comparison
from experiments.stats.confidence_sequence import half_width_in_se, sequential_p_value
from experiments.stats.effect import MIN_P
from experiments.stats.effects import critical_value
from experiments.stats.estimates import effect_of
from experiments.stats.guardrails import evaluate_harm, judge_noninferiority
from experiments.stats.rules import PLANNED_POWER
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from experiments.stats.count_gate import GatedEstimate
    from experiments.stats.effect import Effect, Interval
    from experiments.stats.evidence import Evidence
    from experiments.stats.look_input import LookInput
    from experiments.stats.metric_input import MetricInput
    from experiments.stats.policy import Policy
    from experiments.stats.rules import RuleOutcome


@dataclass(frozen=True, slots=True)
class Ground:
    """What all comparisons of one treatment stand on.

    Attributes:
        policy: the rule.
        control: name of the control.
        treatment: name of the treatment.
        units: complete units of all variants.
        outcome: what the rule says of the primary, or None where it cannot be compared.
        unhealthy: why nothing may be concluded at all, or nothing.
        batched: whether epochs weigh as a bandit's batches.
    """

    policy: Policy
    control: str
    treatment: str
    units: int
    outcome: RuleOutcome | None
    unhealthy: str = ""
    batched: bool = False

    @classmethod
    def of(cls, inputs: LookInput, evidence: Evidence, unhealthy: str) -> Ground:
        """Return the ground of one treatment."""
        return cls(
            inputs.policy,
            inputs.control,
            evidence.variant,
            inputs.units,
            evidence.outcome,
            unhealthy,
            inputs.batched,
        )


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


def run_role_test(ground: Ground, row: GatedEstimate) -> Comparison:
    """Return a comparison with its interval under the rule's way of looking."""
    metric, effect, tested = row.metric, row.effect, row.tested
    if effect is None or tested is None:
        safe = _is_constant(ground, metric) if metric.role == "guardrail" else None
        return Comparison(metric.key, row.variant, None, row.too_few, safe=safe)
    test = _test(ground, metric, tested)
    better, loss = _for_display(ground, metric, effect)
    comparison = Comparison(
        metric=metric.key,
        variant=row.variant,
        effect=effect,
        shrunk=shrink(effect.estimate, effect.se, _detectable(ground, effect)),
        p_value=max(test.p_value, MIN_P),  # no p is zero, whatever a float can hold
        level=test.level,
        probability_better=better,
        expected_loss=loss,
        uncapped=_uncapped(ground, metric),
        safe=test.safe,
        harmed=test.harmed,
    )
    waits = ground.unhealthy or (ground.outcome.waits if ground.outcome else "")
    # One look at a few units has Student's interval, marked as what it is; else there is none yet.
    marked = ground.policy.rule == "fixed" and tested.is_linear
    if waits or (row.too_few and not marked):
        return _without_interval(comparison, metric, waits, row.too_few)
    lift, no_lift = _relative(ground.policy, metric, tested, test)
    return replace(
        comparison,
        why_not=row.too_few,
        critical=test.critical,
        ends=test.ends,
        interval=test.interval,
        lift_interval=lift,
        lift_why_not=no_lift,
    )


def _without_interval(
    comparison: Comparison, metric: MetricInput, waits: str, too_few: str
) -> Comparison:
    """Say why there is no interval; a loss is still judged, a gain is not."""
    why, effect = waits or too_few, comparison.effect
    falls = effect is not None and (effect.estimate < 0) == (metric.direction == "increase")
    # The p-value of a gain below the gate is held against nothing.
    judged = metric.role == "guardrail" or (falls and not waits)
    return replace(
        comparison, why_not=why, lift_why_not=why, level=comparison.level if judged else None
    )


def _detectable(ground: Ground, effect: Effect) -> float:
    """Return the effect that the plan can detect: the spread of the prior that shrinks an estimate."""
    policy = ground.policy
    drift = critical_value(policy.alpha) + critical_value(2 * (1 - PLANNED_POWER))
    return float(drift * effect.se * min(ground.units / policy.planned_units, 1.0) ** 0.5)


def _test(ground: Ground, metric: MetricInput, effect: Effect) -> _IntervalTest:
    """Return the test that the metric's role asks for, with its interval."""
    # A metric of a shorter window may have units before the primary has its first.
    policy, outcome, units = ground.policy, ground.outcome, max(ground.units, 1)
    if metric.role == "primary" and outcome is not None:
        return _IntervalTest(outcome.critical, outcome.interval, outcome.p_value, outcome.level)
    if metric.role == "guardrail":
        return _test_guardrail(ground, metric, effect)
    if policy.rule == "fixed":
        critical = critical_value(policy.alpha, effect.df)
        return _IntervalTest(critical, effect.interval(critical), effect.p_value, policy.alpha)
    alpha, planned = policy.alpha, policy.planned_units
    critical = effect.of_statistic(half_width_in_se(units, alpha=alpha, planned_n=planned))
    p_value = sequential_p_value(effect.z, units, alpha=alpha, planned_n=planned)
    return _IntervalTest(critical, effect.interval(critical), p_value, policy.alpha)


def _test_guardrail(ground: Ground, metric: MetricInput, effect: Effect) -> _IntervalTest:
    """Return the interval whose one end decides on harm and whose other end decides on safety.

    Where it would exclude 0 on the good side on the strength of the test of safety alone, it is held
    open: nobody tests a guardrail for being better.
    """
    up = metric.direction == "increase"
    # A floor says which loss is no harm at all; a margin alone says which must be excluded to ship.
    floor = metric.margin_floor
    harm = evaluate_harm(
        effect,
        direction=metric.direction,
        units=max(ground.units, 1),
        policy=ground.policy,
        accepted=metric.margin * abs(effect.control) + floor if floor else 0.0,
    )
    critical = ground.outcome.critical if ground.outcome else harm.width
    safety = judge_noninferiority(
        effect,
        relative_margin=metric.margin,
        direction=metric.direction,
        critical=critical,
        absolute_margin=metric.margin_floor,
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
    policy: Policy, metric: MetricInput, effect: Effect, test: _IntervalTest
) -> tuple[tuple[float, float] | None, str]:
    """Return the relative interval that agrees with the absolute one, or why there is none."""
    if metric.role == "primary" and policy.rule == "exact":
        low, high = test.interval
        if low is None or high is None or effect.control <= 0:
            return None, "the interval of the odds has no end yet"
        return (low / effect.control, high / effect.control), ""
    (lower, why_not), (upper, why_no_upper) = map(effect.relative, test.ends)
    if lower is None or upper is None:
        return None, why_not or why_no_upper
    lift = lower[0], upper[1]
    # What holds the absolute interval open at 0 holds the relative one open too.
    low, high = test.interval
    if low is not None and low <= 0:
        lift = min(lift[0], 0.0), lift[1]
    if high is not None and high >= 0:
        lift = lift[0], max(lift[1], 0.0)
    return lift, ""


def _is_constant(ground: Ground, metric: MetricInput) -> bool:
    """Whether both variants have one and the same value throughout: no errors at all, say."""
    variants = (ground.control, ground.treatment)
    totals = [epoch.get(variant) for epoch in metric.epochs for variant in variants]
    sides = [side.moments() for side in totals if isinstance(side, Totals) and side.n]
    return len(sides) >= 2 and all(side.yy == 0 and side.y == sides[0].y for side in sides)


def _for_display(ground: Ground, metric: MetricInput, effect: Effect) -> tuple[float, float]:
    """Return P(better) and the expected loss; by Beta posteriors for a plain proportion."""
    plain = metric.kind in PROPORTIONS and effect.variance_reduction is None and len(metric.epochs) == 1
    variants = (ground.control, ground.treatment)
    sides = [metric.epochs[0].get(name) for name in variants] if plain else []
    if all(isinstance(side, Totals) for side in sides) and sides:
        c, t = ((side.nonzero, side.n) for side in sides if side is not None)
        posterior = compare_proportions(c, t)
        if metric.direction == "increase":
            return posterior.probability_better, posterior.loss_of_treatment
        return 1 - posterior.probability_better, posterior.loss_of_control
    if metric.direction == "increase":
        return effect.probability_better, effect.expected_loss
    return 1 - effect.probability_better, replace(effect, estimate=-effect.estimate).expected_loss


def _uncapped(ground: Ground, metric: MetricInput) -> float | None:
    if not metric.uncapped:
        return None
    uncapped = replace(metric, epochs=metric.uncapped)
    effect, _ = effect_of(uncapped, ground.control, ground.treatment, batched=ground.batched)
    return effect.estimate if effect else None
