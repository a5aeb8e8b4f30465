"""Evidence of harm before the counts suffice for the normal approximation.

A ship waits for the count gates; a loss does not. Below them the usual statistics promise too much: one
error among five units is "six standard errors", and an arm that happens to lack the rare buyers looks
certain. So their statistic is replaced:

    proportion      by the exact conditional tail (Fisher's), written as a normal deviate
    mean, ratio     by the more cautious of Welch's and Student's t, with few degrees of freedom
    quantile        stays: its test is one of shares, which `require_units` guards

References:
    Breslow & Day (1980), volume 1, section 4.2 (the conditional distribution). Student (1908).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from experiments.stats.effect import mantel_haenszel_weights
from experiments.stats.special_functions import special
from experiments.stats.strata import MeanStratum, ProportionStratum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.stats.effect import Effect

NEGLIGIBLE = 1e-30  # of a distribution's mass: left out, and the smallest tail that is told apart


def guard(effect: Effect) -> Effect:
    """Return the effect with a statistic that keeps its level for any counts.

    The estimate stays as it is. An interval of a proportion must not be read off the result: its
    statistic is not the one that the strata invert.

    Where epochs have weights of their own (a bandit's), shares follow from earlier outcomes and the
    exact tail alone does not hold; the more cautious of it and the weighted statistic does its part.
    """
    proportions = [s for s in effect.strata if isinstance(s, ProportionStratum)]
    if proportions:
        exact = replace(effect, statistic=exact_statistic(proportions))
        return min(effect, exact, key=lambda one: abs(one.z)) if effect.weights else exact
    means = [s for s in effect.strata if isinstance(s, MeanStratum)]
    if not means:
        return effect
    weights = effect.weights or mantel_haenszel_weights(means)
    variance = sum(w * w * s.student_variance for w, s in zip(weights, means, strict=True))
    if variance <= 0:  # one value in each variant: `compare` has counted on that
        return effect
    se = math.sqrt(variance)
    student = replace(
        effect,
        se=se,
        statistic=effect.estimate / se,
        df=float(sum(s.control_n + s.treatment_n - 2 for s in means)),
    )
    return min(effect, student, key=lambda one: abs(one.z))


def exact_statistic(strata: Sequence[ProportionStratum]) -> float:
    """Return the normal deviate of the conditional tail of the treatment's conversions.

    Given each epoch's units and conversions, the treatment's share of the conversions is
    hypergeometric if nothing differs; over epochs their sums are convolved. The smaller tail, which
    holds the observed number itself, is written as a deviate of the standard normal; 0 where it is
    not below one half.
    """
    start, mass = 0, np.ones(1)
    observed = 0
    for stratum in strata:
        low, probabilities = _hypergeometric(stratum)
        start, mass = start + low, np.convolve(mass, probabilities)
        observed += round(stratum.treatment_x)
    at = observed - start
    below, above = float(mass[: max(at + 1, 0)].sum()), float(mass[max(at, 0) :].sum())
    tail, sign = (below, 1.0) if below < above else (above, -1.0)
    if tail >= 0.5:
        return 0.0
    return sign * float(special.ndtri(max(tail, NEGLIGIBLE)))


def _hypergeometric(stratum: ProportionStratum) -> tuple[int, NDArray[np.float64]]:
    """Return where the treatment's conversions begin, and their probabilities from there on."""
    n_c, n_t = stratum.control_n, stratum.treatment_n
    x = round(stratum.control_x) + round(stratum.treatment_x)
    low, high = max(0, x - n_c), min(n_t, x)
    # The mass lies near the mean; far from it lies less than what is told apart.
    share = x / (n_c + n_t)
    mean, sd = n_t * share, math.sqrt(n_t * share * (1 - share) * n_c / (n_c + n_t)) + 1
    low, high = max(low, math.floor(mean - 40 * sd)), min(high, math.ceil(mean + 40 * sd))
    k = np.arange(low, high + 1, dtype=np.float64)
    log_ways = -(
        special.gammaln(k + 1)
        + special.gammaln(n_t - k + 1)
        + special.gammaln(x - k + 1)
        + special.gammaln(n_c - x + k + 1)
    )
    mass = np.exp(log_ways - log_ways.max())
    return low, mass / mass.sum()
