"""What promotions bring together: estimates drawn to the project's own prior, then compounded.

A version is promoted because its estimate was high, so the estimates of promotions are too high on
average. The posterior mean under the distribution of all tests' effects, those that lost included, is
not: a Bayesian estimate under the right prior is unbiased whatever was selected. Gains are on the log
scale, where those of one promotion after another add up.

Reference:
    Efron (2011), Tweedie's formula and selection bias, JASA 106.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Fewer effects say little about how much effects differ.
MIN_DECISIONS = 10
# Relative standard deviation of challengers' true effects before there are enough.
DEFAULT_SD = 0.03
Z95 = 1.959964
# Of the standard deviation that is fitted: a thousandth to a factor of e.
_GRID = np.geomspace(1e-3, 1.0, 300)
# What is known of the prior before any effect: its log width has this standard deviation around the
# default's, and its mean counts as much as so many tests without an effect.
_LOG_SD_SPREAD, _PSEUDO_TESTS = 0.7, 10


@dataclass(frozen=True, slots=True)
class LogGain:
    """A gain on the log scale, ln(1 + lift), positive where it is good.

    Attributes:
        mean: estimate, or posterior mean.
        sd: its standard error, or posterior standard deviation; not negative.
    """

    mean: float
    sd: float

    @classmethod
    def of_interval(
        cls, low: float, estimate: float, high: float, *, critical: float
    ) -> LogGain | None:
        """Return the log gain of a lift with an interval of ± `critical` standard errors.

        None where the interval reaches a total loss, −1: it has no logarithm.
        """
        if min(low, estimate) <= -1 or critical <= 0 or not math.isfinite(high):
            return None
        width = math.log1p(high) - math.log1p(low)
        return cls(math.log1p(estimate), width / (2 * critical))

    @property
    def reversed(self) -> LogGain:
        """The gain of a metric of which less is better."""
        return LogGain(-self.mean, self.sd)


@dataclass(frozen=True, slots=True)
class Prior:
    """How true effects are distributed: normal on the log scale.

    Attributes:
        mean: of the effects.
        sd: of the effects.
        decisions: effects that it is fitted to; 0 for the default.
    """

    mean: float = 0.0
    sd: float = DEFAULT_SD
    decisions: int = 0


@dataclass(frozen=True, slots=True)
class Lift:
    """A relative gain with its 95 % interval."""

    estimate: float
    low: float
    high: float


def fit_prior(effects: Sequence[LogGain]) -> Prior:
    """Return the prior that estimates like these suggest, averaged over how well they tell it.

    With fewer than ten the default, since a spread cannot be told from so few. With a few more the
    likeliest spread is often none at all, and then no measurement of a test would count any more
    against the mean of the others: so the spread is averaged under a weak prior of its own.
    """
    known = [one for one in effects if one.sd > 0]
    if len(known) < MIN_DECISIONS:
        return Prior()
    x = np.array([one.mean for one in known])
    total = _GRID[:, None] ** 2 + np.array([one.sd for one in known]) ** 2
    pseudo = _PSEUDO_TESTS / _GRID**2
    precision = (1 / total).sum(axis=1) + pseudo
    means = (x / total).sum(axis=1) / precision
    # Marginal likelihood of each spread, the mean integrated out.
    log_weights = -0.5 * (
        (np.log(total) + (x - means[:, None]) ** 2 / total).sum(axis=1)
        + means**2 * pseudo
        + np.log(precision / pseudo)
        + (np.log(_GRID / DEFAULT_SD) / _LOG_SD_SPREAD) ** 2
    )
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    return Prior(float(weights @ means), float(np.exp(weights @ np.log(_GRID))), len(known))


def combine(effects: Sequence[LogGain]) -> LogGain:
    """Return one estimate of independent ones of the same effect, weighted by their precision.

    Raises:
        StatisticsError: there is none, or one without an error.
    """
    if not effects or min(one.sd for one in effects) <= 0:
        raise StatisticsError(f"effects == {list(effects)}, must have positive standard errors.")
    weights = [one.sd**-2 for one in effects]
    mean = sum(w * one.mean for w, one in zip(weights, effects, strict=True)) / sum(weights)
    return LogGain(mean, sum(weights) ** -0.5)


def shrink_to(prior: Prior, effect: LogGain) -> LogGain:
    """Return the posterior of an effect."""
    if effect.sd <= 0:
        return effect
    precision = prior.sd**-2 + effect.sd**-2
    mean = (prior.mean * prior.sd**-2 + effect.mean * effect.sd**-2) / precision
    return LogGain(mean, precision**-0.5)


def compound(effects: Sequence[LogGain], weights: Sequence[float] | None = None) -> LogGain:
    """Return the sum of independent log gains, each times its weight (1 each by default)."""
    weights = weights if weights is not None else [1.0] * len(effects)
    mean = sum(w * one.mean for w, one in zip(weights, effects, strict=True))
    return LogGain(mean, math.hypot(*(w * one.sd for w, one in zip(weights, effects, strict=True))))


def lift_of(gain: LogGain) -> Lift:
    """Return a log gain as a relative one with its 95 % interval."""
    half = Z95 * gain.sd
    return Lift(*(math.expm1(gain.mean + step) for step in (0.0, -half, half)))


def agrees(expected: LogGain, measured: LogGain) -> bool:
    """Whether two independent figures of one gain differ by less than their errors allow, at 5 %."""
    return abs(expected.mean - measured.mean) <= Z95 * math.hypot(expected.sd, measured.sd)
