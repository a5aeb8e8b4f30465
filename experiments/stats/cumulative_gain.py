"""What promotions bring together: estimates drawn to the project's own prior, then compounded.

A version is promoted because its estimate was high, so the estimates of promotions are too high on
average. The posterior mean under the distribution of all tests' effects, those that lost included, is
not: a Bayesian estimate under the right prior is unbiased whatever was selected. Gains are on the log
scale, where those of one promotion after another add up.

Guarantees: intervals of a sum cover about as often as they say, however much effects vary and however
many tests there are (`make bench ONLY=statistics`), because how the effects are distributed is known
only as well as the tests tell it: the posterior is a mixture over possible spreads, each with the mean
that it implies and that mean's own error, which all gains of a sum share.

References:
    Efron (2011), Tweedie's formula and selection bias, JASA 106. Gelman (2006), Prior distributions for
    variance parameters in hierarchical models, Bayesian Analysis 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Fewer effects say little about how much effects differ.
MIN_DECISIONS = 10
# Relative standard deviation of challengers' true effects before there are enough.
DEFAULT_SD = 0.03
Z95 = 1.959964
# Of the standard deviation that is fitted: a thousandth to a factor of e.
_GRID = np.geomspace(1e-3, 1.0, 120)
# What is known of the prior before any effect: its log width has this standard deviation around the
# default's, and its mean counts as much as so many tests without an effect. With a width as sure as .7
# and a mean as sure as ten tests, effects that vary little or have another mean are covered too seldom.
_LOG_SD_SPREAD, _PSEUDO_TESTS = 1.0, 1


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
class Spread:
    """One of the spreads that true effects may have.

    Attributes:
        weight: its posterior chance.
        sd: of the effects.
        mean: of the effects, where this is their spread.
        mean_sd: standard error of that mean.
    """

    weight: float
    sd: float
    mean: float
    mean_sd: float


@dataclass(frozen=True, slots=True)
class Prior:
    """How true effects are distributed: normal on the log scale.

    Attributes:
        mean: of the effects.
        sd: of the effects.
        decisions: effects that it is fitted to; 0 for the default.
        spreads: what mean and sd may be instead; empty where they are known.
    """

    mean: float = 0.0
    sd: float = DEFAULT_SD
    decisions: int = 0
    spreads: tuple[Spread, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Lift:
    """A relative gain with its 95 % interval."""

    estimate: float
    low: float
    high: float


def fit_prior(effects: Sequence[LogGain]) -> Prior:
    """Return the prior that estimates like these suggest, averaged over how well they tell it.

    Its mean and sd are the default's with fewer than ten, since a spread cannot be told from so few.
    With a few more the likeliest spread is often none at all, and then no measurement of a test would
    count any more against the mean of the others: so the spread is averaged under a weak prior.
    """
    known = [one for one in effects if one.sd > 0]
    weights, means, errors = _posterior_of_spreads(known)
    rows = zip(weights.tolist(), _GRID.tolist(), means.tolist(), errors.tolist(), strict=True)
    spreads = tuple(Spread(*row) for row in rows)
    if len(known) < MIN_DECISIONS:
        return Prior(spreads=spreads)
    sd = float(np.exp(weights @ np.log(_GRID)))
    return Prior(float(weights @ means), sd, len(known), spreads)


def _posterior_of_spreads(
    effects: Sequence[LogGain],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return for each spread of the grid its chance, the mean of effects, and that mean's error."""
    x = np.array([one.mean for one in effects])
    total = _GRID[:, None] ** 2 + np.array([one.sd for one in effects]) ** 2
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
    return weights / weights.sum(), means, precision**-0.5


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
    return adjusted_sum(prior, [effect], [1.0])


def adjusted_sum(prior: Prior, effects: Sequence[LogGain], weights: Sequence[float]) -> LogGain:
    """Return the posterior of a sum of effects, each times its weight.

    Args:
        prior: of the effects.
        effects: estimates, shape (n,); one without an error is known.
        weights: shape (n,): 1 of a gain that is added, −1 of one that is taken back.

    Returns:
        Its mean and standard deviation, over all spreads that are possible: what is not known of the
        prior does not cancel between effects.
    """
    if not effects:
        return LogGain(0.0, 0.0)
    chances, sds, priors, errors = _spreads_of(prior)
    x, error = np.array([one.mean for one in effects]), np.array([one.sd for one in effects])
    weight = np.asarray(weights, dtype=float)
    trust = sds[:, None] ** 2 / (
        sds[:, None] ** 2 + error**2
    )  # of each estimate: the rest is the prior's
    means = (trust * x + (1 - trust) * priors[:, None]) @ weight
    variances = (trust * error**2) @ weight**2 + (((1 - trust) @ weight) * errors) ** 2
    mean = float(chances @ means)
    return LogGain(mean, math.sqrt(float(chances @ (variances + (means - mean) ** 2))))


def _spreads_of(prior: Prior) -> NDArray[Any]:
    """Return chances, sds, means and their errors, shape (4, spreads)."""
    spreads = prior.spreads or (Spread(1.0, prior.sd, prior.mean, 0.0),)
    return np.array([(one.weight, one.sd, one.mean, one.mean_sd) for one in spreads]).T


def lift_of(gain: LogGain) -> Lift:
    """Return a log gain as a relative one with its 95 % interval."""
    half = Z95 * gain.sd
    return Lift(*(math.expm1(gain.mean + step) for step in (0.0, -half, half)))


def agrees(expected: LogGain, measured: LogGain) -> bool:
    """Whether two independent figures of one gain differ by less than their errors allow, at 5 %."""
    return abs(expected.mean - measured.mean) <= Z95 * math.hypot(expected.sd, measured.sd)
