"""Guardrails: harm is found at any time, and safety must be shown before a ship.

A guardrail is harmed when its one-sided confidence sequence lies wholly on the bad side: that may be
looked at after every batch. It is safe when the loss is smaller than its margin (non-inferiority), at
the critical value at which the primary is judged.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from experiments.stats.confidence_sequence import half_width_in_se_one_sided, one_sided_p_value
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from experiments.kinds import Direction
    from experiments.stats.effect import Effect
    from experiments.stats.policy import Policy


class NonInferiority(NamedTuple):
    """Whether a loss is shown to be smaller than a margin.

    Attributes:
        margin: the largest loss that is accepted, in the metric's unit.
        bound: the worst difference that the interval still holds, in the good direction.
        statistic: (good difference + margin) / se.
        holds: whether bound ≥ −margin.
    """

    margin: float
    bound: float
    statistic: float
    holds: bool


class HarmTest(NamedTuple):
    """A guardrail's one-sided confidence sequence at one look.

    Attributes:
        harmed: whether it lies wholly on the bad side.
        width: its half-width, on the scale of the effect's statistic.
        p_value: at most `level` exactly where it does.
        level: of the sequence.
    """

    harmed: bool
    width: float
    p_value: float
    level: float


def good_direction(effect: Effect, *, direction: Direction) -> float:
    """Return the difference with the sign that a gain is positive."""
    return effect.estimate if direction == "increase" else -effect.estimate


def judge_noninferiority(
    effect: Effect,
    *,
    relative_margin: float,
    direction: Direction,
    critical: float,
    absolute_margin: float = 0.0,
) -> NonInferiority:
    """Hold a guardrail's interval against its margin.

    Args:
        effect: treatment − control.
        relative_margin: the accepted loss as a share of the control's level.
        direction: which change is good.
        critical: half-width of the interval in standard errors.
        absolute_margin: the accepted loss beside it, in the metric's unit: of a share that is nearly 0,
            no relative loss could ever be excluded.

    Raises:
        StatisticsError: a margin is negative.

    Reference:
        Wellek (2010), Testing Statistical Hypotheses of Equivalence and Noninferiority, chapter 2.
    """
    if min(relative_margin, absolute_margin) < 0:
        wrong = min(relative_margin, absolute_margin)
        raise StatisticsError(f"margin == {wrong:g}, must not be negative.")
    margin = relative_margin * abs(effect.control) + absolute_margin
    good = good_direction(effect, direction=direction)
    low, high = effect.interval(critical)
    worst = low if direction == "increase" else (None if high is None else -high)
    bound = -math.inf if worst is None else worst
    return NonInferiority(margin, bound, (good + margin) / effect.se, bound >= -margin)


def evaluate_harm(
    effect: Effect, *, direction: Direction, units: int, policy: Policy, accepted: float = 0.0
) -> HarmTest:
    """Hold a guardrail against no harm: that may be done after every batch, for ever.

    Args:
        effect: treatment − control; guarded (`small_counts`) where its counts are few.
        direction: which change is good.
        units: complete units of all variants, at least 1.
        policy: level and planned units.
        accepted: loss in the metric's unit that is no harm: a better model may take a little longer.
    """
    good = effect.z if direction == "increase" else -effect.z
    good += accepted / effect.se if accepted else 0.0
    width = half_width_in_se_one_sided(units, alpha=policy.alpha, planned_n=policy.planned_units)
    p_value = one_sided_p_value(-good, units, alpha=policy.alpha, planned_n=policy.planned_units)
    return HarmTest(good <= -width, effect.of_statistic(width), p_value, policy.alpha)
