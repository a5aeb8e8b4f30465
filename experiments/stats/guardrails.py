"""Guardrails: harm is found at any time, and safety must be shown before a ship.

A guardrail is harmed when its one-sided confidence sequence lies wholly on the bad side: that may be
looked at after every batch. It is safe when the loss is smaller than its margin (non-inferiority), at
the critical value at which the primary is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.stats.confidence_sequence import half_width_in_se_one_sided
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from experiments.stats.effects import Effect
    from experiments.stats.policy import Policy


class NonInferiority(NamedTuple):
    """Whether a loss is shown to be smaller than a margin.

    Attributes:
        margin: the largest loss that is accepted, in the metric's unit.
        bound: the worst difference that the interval still holds, in the good direction.
        statistic: (good difference + margin) / se.
        holds: whether bound > −margin.
    """

    margin: float
    bound: float
    statistic: float
    holds: bool


def good_direction(effect: Effect, *, increase_is_good: bool) -> float:
    """Return the difference with the sign that a gain is positive."""
    return effect.estimate if increase_is_good else -effect.estimate


def judge_noninferiority(
    effect: Effect, *, relative_margin: float, increase_is_good: bool, critical: float
) -> NonInferiority:
    """Hold a guardrail's interval against its margin.

    Args:
        effect: treatment − control.
        relative_margin: the accepted loss as a share of the control's level.
        increase_is_good: direction.
        critical: half-width of the interval in standard errors.

    Raises:
        StatisticsError: the margin is negative.

    Reference:
        Wellek (2010), Testing Statistical Hypotheses of Equivalence and Noninferiority, chapter 2.
    """
    if relative_margin < 0:
        raise StatisticsError(f"margin == {relative_margin:g}, must not be negative.")
    margin = relative_margin * abs(effect.control)
    good = good_direction(effect, increase_is_good=increase_is_good)
    bound = good - critical * effect.se
    return NonInferiority(margin, bound, (good + margin) / effect.se, bound >= -margin)


def is_harmed(effect: Effect, *, increase_is_good: bool, units: int, policy: Policy) -> bool:
    """Whether the guardrail's one-sided confidence sequence lies wholly on the bad side."""
    if not units:
        return False
    width = half_width_in_se_one_sided(units, alpha=policy.alpha, planned_n=policy.planned_units)
    return good_direction(effect, increase_is_good=increase_is_good) + width * effect.se < 0
