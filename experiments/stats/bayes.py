"""Bayesian figures for display. They never decide: stopping on them has no error rate.

Assumptions: a Beta prior for each proportion, uniform unless said; units are independent.

Reference:
    Stucchio (2015), Bayesian A/B testing at VWO (the losses); checked against Monte Carlo.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

NODES = 200


class BetaComparison(NamedTuple):
    """What two Beta posteriors say of each other.

    Attributes:
        probability_better: P(treatment > control).
        loss_of_treatment: expected loss of choosing the treatment, E[max(control − treatment, 0)].
        loss_of_control: expected loss of staying with the control.
        control_mean: posterior mean of the control.
        treatment_mean: of the treatment.
    """

    probability_better: float
    loss_of_treatment: float
    loss_of_control: float
    control_mean: float
    treatment_mean: float


@lru_cache(maxsize=1)
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(NODES)


def compare_proportions(
    control: tuple[int, int], treatment: tuple[int, int], prior: tuple[float, float] = (1.0, 1.0)
) -> BetaComparison:
    """Compare two proportions by Gauss-Legendre quadrature of their posteriors.

    Args:
        control: (conversions, units).
        treatment: (conversions, units).
        prior: the Beta prior's two parameters.

    Raises:
        StatisticsError: more conversions than units, or a prior that is not positive.
    """
    for x, n in (control, treatment):
        if not 0 <= x <= n:
            raise StatisticsError(f"conversions == {x}, must be in [0, {n}].")
    if min(prior) <= 0:
        raise StatisticsError(f"prior == {prior}, must be positive.")
    a_c, b_c = control[0] + prior[0], control[1] - control[0] + prior[1]
    a_t, b_t = treatment[0] + prior[0], treatment[1] - treatment[0] + prior[1]
    mean_c, mean_t = a_c / (a_c + b_c), a_t / (a_t + b_t)
    sd_t = (mean_t * (1 - mean_t) / (a_t + b_t + 1)) ** 0.5
    sd_c = (mean_c * (1 - mean_c) / (a_c + b_c + 1)) ** 0.5

    def over(mean: float, sd: float) -> tuple[np.ndarray, np.ndarray]:
        # Beyond that many standard deviations a Beta has nothing that a float would notice.
        low, high = max(mean - 12 * sd, 0.0), min(mean + 14 * sd, 1.0)
        nodes, weights = _legendre()
        return (high - low) / 2 * nodes + (high + low) / 2, (high - low) / 2 * weights

    t, weight = over(mean_t, sd_t)
    density = np.exp(
        special.xlogy(a_t - 1, t) + special.xlog1py(b_t - 1, -t) - special.betaln(a_t, b_t)
    )
    better = float(weight @ (density * special.betainc(a_c, b_c, t)))
    # E[max(C − T, 0)] = ∫ P(T < s < C) ds
    s, weight = over(mean_c, sd_c)
    loss = float(weight @ (special.betainc(a_t, b_t, s) * (1 - special.betainc(a_c, b_c, s))))
    if mean_c - 12 * sd_c > 0:  # below the control's support the integrand is P(T < s)
        low = np.linspace(max(mean_t - 12 * sd_t, 0.0), mean_c - 12 * sd_c, 2001)
        if low[-1] > low[0]:
            loss += float(np.trapezoid(special.betainc(a_t, b_t, low), low))
    return BetaComparison(better, loss, loss + mean_t - mean_c, mean_c, mean_t)


def shrink(estimate: float, se: float, prior_sd: float) -> float:
    """Return the posterior mean of an effect under a normal prior around zero.

    An estimate at an early stop is too big, since stopping selects lucky paths (1.29 times at the
    effect of the plan under O'Brien-Fleming-type bounds). A prior as wide as the effect that the
    plan can detect draws it back.

    Reference:
        Efron (2011), Tweedie's formula and selection bias, JASA 106.
    """
    return estimate * prior_sd**2 / (prior_sd**2 + se**2)
