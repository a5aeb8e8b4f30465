"""What a policy earns more than the control action, from its own decisions, valid at any time.

Of each decision i there are the reward r (a share of its range), whether the control action was taken,
and the chance p that it had. With a prediction b of the reward, of the decisions before,

    y = (r − b) · (1 − [control taken] / p)

has the conditional mean E[r of what is served] − E[r of the control action], whatever was served
before: the second factor has mean 0 for every b, so b takes noise out and no bias in. The sequence
bounds the mean of those conditional differences over the decisions so far, which may drift: no
assumption is made on contexts, rewards or how the policy changes, since the coins of the decisions
alone make y − E[y] a martingale difference.

Guarantee: the chance that the interval ever misses that mean, however often it is read, is at most α.
Assumptions: the chances are right and positive; rewards lie in their range; a decision's reward depends
on its own action alone.

References:
    Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro (2024), Anytime-valid off-policy inference for
    contextual bandits, arXiv 2210.10768: running means of time-varying policy values, section 3.
    Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence
    sequences, theorem 4: exp(λ (y − E y) − ψ(λ) (y − ŷ)²) is a supermartingale, ψ(λ) = −ln(1 − λ) − λ,
    for every prediction ŷ of the past with λ (y − ŷ) ≥ −1 (Fan, Grama and Liu 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Each is best at one number of decisions, the next one at four times as many. Their union is paid for
# by a factor of their number; those that a decision so far was too extreme for are left out.
LAMBDAS = 0.9 * 0.5 ** np.arange(14)
_PSI = -np.log1p(-LAMBDAS) - LAMBDAS
MAX_STAKE = 0.9  # of λ times how far y may lie from its prediction
PRIOR_DECISIONS, PRIOR_REWARD = 10.0, 0.1  # of the predicted reward, before there is any


@dataclass(frozen=True, slots=True)
class PolicyTotals:
    """What the decisions of a policy add up to; the totals of two stretches cannot be added.

    But they say all that the next decisions need: `add_up` goes on from them.

    Attributes:
        decisions: how many.
        reward: sum of r.
        controls: decisions that took the control action.
        difference: sum of y.
        variation: sum of (y − ŷ)², ŷ the mean of the y before, cut to [−1, 1].
        below: how far below its prediction a y could have been, at most.
        above: how far above, likewise.
    """

    decisions: int
    reward: float
    controls: int
    difference: float
    variation: float
    below: float
    above: float


NO_TOTALS = PolicyTotals(0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy earns, in shares of the rewards' range.

    Attributes:
        decisions: how many there are.
        controls: of them those that took the control action.
        served: mean reward of the decisions.
        control: estimated mean reward, had the control action been taken in all of them.
        difference: of the two.
        interval: of the difference, valid at any time.
    """

    decisions: int
    controls: int
    served: float
    control: float
    difference: float
    interval: tuple[float, float]

    @property
    def is_better(self) -> bool:
        """Whether the policy earns more for certain."""
        return self.interval[0] > 0

    @property
    def is_worse(self) -> bool:
        """Whether the control action would earn more for certain."""
        return self.interval[1] < 0


def add_up(
    rewards: NDArray[np.float64],
    is_control: NDArray[np.bool_],
    chances: NDArray[np.float64],
    *,
    until: Sequence[int],
    start: PolicyTotals = NO_TOTALS,
) -> list[PolicyTotals]:
    """Return the totals of the first decisions, for several numbers of them.

    Args:
        rewards: in [0, 1], in the order of the decisions, shape (n,).
        is_control: whether the control action was taken, shape (n,).
        chances: that the control action had, whether it was taken or not, shape (n,).
        until: how many of the first decisions count, each in [0, n].
        start: totals of the decisions before these, which count besides: the totals are then, to the
            bit, those of all decisions at once.

    Raises:
        StatisticsError: a reward or a chance is out of range.
    """
    _check(rewards, chances)
    reward, before = _running(np.add, start.reward, rewards), start.decisions
    predicted = _means_before(reward, before, PRIOR_DECISIONS, PRIOR_REWARD)
    odds = 1 / chances - 1
    # 1 − [taken] / p is 1 or −odds.
    y = (rewards - predicted) * np.where(is_control, -odds, 1.0)
    difference = _running(np.add, start.difference, y)
    of_y = np.clip(_means_before(difference, before, 1.0, 0.0), -1, 1)
    controls = _running(np.add, start.controls, is_control)
    variation = _running(np.add, start.variation, (y - of_y) ** 2)
    below = of_y + np.maximum((1 - predicted) * odds, predicted)
    above = np.maximum(predicted * odds, 1 - predicted) - of_y
    below, above = _running(np.maximum, start.below, below), _running(np.maximum, start.above, above)
    return [
        PolicyTotals(
            decisions=before + n,
            reward=float(reward[n]),
            controls=int(controls[n]),
            difference=float(difference[n]),
            variation=float(variation[n]),
            below=float(below[n]),
            above=float(above[n]),
        )
        for n in until
    ]


def _check(rewards: NDArray[np.float64], chances: NDArray[np.float64]) -> None:
    if not len(rewards):
        return
    if not (rewards.min() >= 0 and rewards.max() <= 1):
        raise StatisticsError("rewards: one is out of range, must be in [0, 1].")
    if not (chances.min() > 0 and chances.max() <= 1):
        raise StatisticsError(
            f"chance of the control == {chances.min():g} to {chances.max():g}, must be in (0, 1]."
        )


def _running(operation: np.ufunc, start: float, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return what the values add up to, or the largest so far, from the start on, shape (n + 1,)."""
    running: NDArray[np.float64] = operation.accumulate(np.concatenate([[float(start)], values]))
    return running


def _means_before(
    sums: NDArray[np.float64], before: int, prior: float, first: float
) -> NDArray[np.float64]:
    """Return the mean of the values before each, with so many more of one value before all."""
    means: NDArray[np.float64] = (sums[:-1] + prior * first) / (
        before + np.arange(len(sums) - 1) + prior
    )
    return means


def value_of(totals: PolicyTotals, *, alpha: float) -> PolicyValue:
    """Return the value of a policy beside the control action.

    Args:
        totals: of all decisions so far.
        alpha: 1 − confidence.

    Raises:
        StatisticsError: alpha is out of range.
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    n = totals.decisions
    if not n:
        return PolicyValue(0, 0, 0.0, 0.0, 0.0, (-1.0, 1.0))
    served, difference = totals.reward / n, totals.difference / n
    # Rewards are shares, so no difference is beyond 1.
    low = difference - _margin(totals, totals.below, alpha / 2)
    high = difference + _margin(totals, totals.above, alpha / 2)
    interval = (min(max(low, -1.0), 1.0), max(min(high, 1.0), -1.0))
    return PolicyValue(n, totals.controls, served, served - difference, difference, interval)


def _margin(totals: PolicyTotals, reach: float, alpha: float) -> float:
    """Return how far from the estimate one end is.

    Of each λ the end is where λ (Σ y − n m) − ψ(λ) V reaches ln(1 / α), with α divided among all.
    """
    usable = LAMBDAS * reach <= MAX_STAKE
    if not usable.any():
        return math.inf
    bound = math.log(len(LAMBDAS) / alpha)
    margins = (bound + _PSI[usable] * totals.variation) / (LAMBDAS[usable] * totals.decisions)
    return float(margins.min())
