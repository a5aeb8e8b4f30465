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
# Of the standard deviation that is fitted: a ten-thousandth to a factor of e.
_GRID = np.geomspace(1e-4, 1.0, 400)


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
    """Return the prior under which estimates like these are most likely (marginal likelihood).

    With fewer than ten the default, since a spread cannot be told from so few.
    """
    known = [one for one in effects if one.sd > 0]
    if len(known) < MIN_DECISIONS:
        return Prior()
    x = np.array([one.mean for one in known])
    variance = np.array([one.sd for one in known]) ** 2
    total = _GRID[:, None] ** 2 + variance
    means = (x / total).sum(axis=1) / (1 / total).sum(axis=1)
    log_likelihood = -0.5 * (np.log(total) + (x - means[:, None]) ** 2 / total).sum(axis=1)
    best = int(np.argmax(log_likelihood))
    return Prior(float(means[best]), float(_GRID[best]), len(known))


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
