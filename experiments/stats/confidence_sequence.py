"""Asymptotic confidence sequences: intervals that hold at every moment at once.

Assumptions: the estimate is asymptotically normal with a consistently estimated standard error.
Guarantees (asymptotically): the chance that the interval ever misses the truth is at most alpha.

Reference:
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, arXiv 2103.06476, theorem 2.2; equal to the mixture
    sequential probability ratio test with a normal mixture.
"""

from __future__ import annotations

import math

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError


def mixture_scale(alpha: float, planned_n: float) -> float:
    """Return ρ that makes the sequence tightest at the planned number of units.

    ρ² = (−2 ln α + ln(1 − 2 ln α)) / N, the usual approximation to the exact Lambert-W solution.

    Raises:
        StatisticsError: alpha or the planned number is out of range.
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    if planned_n <= 0:
        raise StatisticsError(f"planned units == {planned_n:g}, must be positive.")
    return math.sqrt((-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned_n)


def exact_mixture_scale(alpha: float, planned_n: float) -> float:
    """Return the ρ that is exactly tightest at the planned number: −W₋₁(−α² / e) − 1 = N ρ².

    1.7 % above `mixture_scale`, and no tighter in any way that shows; kept as its oracle.
    """
    return math.sqrt((-special.lambertw(-(alpha**2) / math.e, -1).real - 1) / planned_n)


def half_width_in_se(n: float, *, alpha: float, planned_n: float) -> float:
    """Return the half-width of the two-sided sequence after n units, in standard errors.

    With A = n ρ² it is √((A + 1) / A · ln((A + 1) / α²)).
    """
    a = n * mixture_scale(alpha, planned_n) ** 2
    return math.sqrt((a + 1) / a * math.log((a + 1) / alpha**2))


def half_width_in_se_one_sided(n: float, *, alpha: float, planned_n: float) -> float:
    """Return the half-width of the one-sided sequence: 2α takes the place of α.

    Reference: Waudby-Smith et al., section 2.4 (one-sided time-uniform bounds).
    """
    a = n * mixture_scale(2 * alpha, planned_n) ** 2
    return math.sqrt(2 * (a + 1) / a * math.log1p(math.sqrt(a + 1) / (2 * alpha)))


def log_e_value(z: float, n: float, *, alpha: float, planned_n: float) -> float:
    """Return ln of the e-value against no effect: z² A / (2 (A + 1)) − ln(A + 1) / 2."""
    a = n * mixture_scale(alpha, planned_n) ** 2
    return z * z * a / (2 * (a + 1)) - math.log1p(a) / 2


def sequential_p_value(z: float, n: float, *, alpha: float, planned_n: float) -> float:
    """Return the always-valid p-value min(1, 1 / e); its running minimum is valid too.

    Reference: Johari, Koomen, Pekelis, Walsh (2022), Always valid inference, Operations Research 70.
    """
    return math.exp(-max(log_e_value(z, n, alpha=alpha, planned_n=planned_n), 0.0))


def one_sided_p_value(z: float, n: int, *, alpha: float, planned_n: float) -> float:
    """Return the p-value of the one-sided sequence: at most α exactly where z reaches its half-width.

    The half-width solved for α, at the scale that α itself sets:
    √(A + 1) / (2 (exp(z² A / (2 (A + 1))) − 1)).

    Args:
        z: positive on the side that is tested; 1 is returned otherwise.
        n: units so far.
        alpha: level that the scale is set by.
        planned_n: units at which the sequence is tightest.
    """
    if z <= 0:
        return 1.0
    a = n * mixture_scale(2 * alpha, planned_n) ** 2
    exponent = z * z * a / (2 * (a + 1))
    if exponent > 700:  # e^709 is the largest float; the p-value is below every float there
        return 0.0
    return min(math.sqrt(a + 1) / (2 * math.expm1(exponent)), 1.0) if exponent > 0 else 1.0
