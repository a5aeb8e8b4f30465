"""How many units a verdict needs, how long they take to come, and what few units can show.

Formulas are the normal approximation, two-sided, for one treatment against the control. What a rule of
repeated looks costs on top is `Design.inflation`: the square of the drift that it needs over the one
that a single look needs.

References:
    Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions, chapter 4. Jennison &
    Turnbull (2000), chapter 3 (inflation factors). Deng et al. (2013), CUPED.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from experiments.stats.confidence_sequence import half_width_in_se
from experiments.stats.effects import critical_value
from experiments.stats.group_sequential import (
    SPENDING,
    Crossing,
    bounds_at,
    crossing_probabilities,
)
from experiments.stats.roots import find_root
from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.kinds import Rule

FUTILITY_FROM = 0.3  # information from which on a hopeless trial may stop
FUTILITY_POWER = 0.1  # conditional power below which it is hopeless
LOOKS = 100  # of a plan whose looks are not counted: as good as continuous


def _check(alpha: float, power: float, ratio: float = 1.0) -> tuple[float, float]:
    if not 0 < power < 1:
        raise StatisticsError(f"power == {power:g}, must be in (0, 1).")
    if not 0 < ratio < math.inf:
        raise StatisticsError(f"ratio == {ratio:g}, must be positive.")
    return critical_value(alpha), float(special.ndtri(power))


def units_for_proportions(
    control: float,
    treatment: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
    pooled: bool = True,
) -> float:
    """Return the units of the control that show a difference of proportions.

    With r = n_t / n_c and p̄ the pooled share:
    n_c = (z_α √((1 + 1/r) p̄ q̄) + z_β √(p_c q_c + p_t q_t / r))² / (p_t − p_c)².

    Args:
        control: share in the control, in (0, 1).
        treatment: share in the treatment, in (0, 1).
        alpha: two-sided level.
        power: chance to see the difference.
        ratio: units of the treatment for each of the control.
        pooled: variance of the test under no difference pooled, as `compare` tests.

    Raises:
        StatisticsError: a share, level or power out of range, or no difference.
    """
    z_a, z_b = _check(alpha, power, ratio)
    for p in (control, treatment):
        if not 0 < p < 1:
            raise StatisticsError(f"proportion == {p:g}, must be in (0, 1).")
    if control == treatment:
        raise StatisticsError("difference == 0, must not be zero.")
    own = control * (1 - control) + treatment * (1 - treatment) / ratio
    mean = (control + ratio * treatment) / (1 + ratio)
    null = (1 + 1 / ratio) * mean * (1 - mean) if pooled else own
    return (z_a * math.sqrt(null) + z_b * math.sqrt(own)) ** 2 / (treatment - control) ** 2


def units_for_means(
    difference: float, sd: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Return the units of the control that show a difference of means.

    n_c = (1 + 1/r) ((z_α + z_β) sd / δ)². For a ratio metric sd is that of (y − r d) / d̄ over units;
    for a quantile q it is √(q (1 − q)) over the density at the quantile.

    Raises:
        StatisticsError: a level, power or spread out of range, or no difference.
    """
    z_a, z_b = _check(alpha, power, ratio)
    if not 0 < sd < math.inf:
        raise StatisticsError(f"sd == {sd:g}, must be positive.")
    if difference == 0:
        raise StatisticsError("difference == 0, must not be zero.")
    return (1 + 1 / ratio) * ((z_a + z_b) * sd / difference) ** 2


def units_for_noninferiority(
    margin: float, sd: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Return the units of the control that show a loss smaller than the margin, if there is none.

    The interval's lower end must clear −margin: the formula of a difference of that size.

    Raises:
        StatisticsError: as `units_for_means`, or a margin that is not positive.
    """
    if margin <= 0:
        raise StatisticsError(f"margin == {margin:g}, must be positive.")
    return units_for_means(margin, sd, alpha=alpha, power=power, ratio=ratio)


def detectable_mean(
    units: float, sd: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Return the smallest difference of means that n units of the control show.

    Raises:
        StatisticsError: an argument out of range.
    """
    z_a, z_b = _check(alpha, power, ratio)
    if units <= 0:
        raise StatisticsError(f"units == {units:g}, must be positive.")
    return (z_a + z_b) * sd * math.sqrt((1 + 1 / ratio) / units)


def detectable_proportion(
    units: float, control: float, *, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> float:
    """Return the smallest rise of a proportion that n units of the control show.

    Raises:
        StatisticsError: an argument out of range, or no rise up to 1 can be seen.
    """
    if units <= 0:
        raise StatisticsError(f"units == {units:g}, must be positive.")

    def excess(rise: float) -> float:
        return (
            units_for_proportions(control, control + rise, alpha=alpha, power=power, ratio=ratio)
            - units
        )

    ceiling = (1 - control) * (1 - 1e-9)
    if excess(ceiling) > 0:
        raise StatisticsError(f"units == {units:g}, too few to see any rise of {control:g}.")
    return find_root(excess, ceiling * 1e-9, ceiling, xtol=1e-12)


def cuped_factor(rho: float) -> float:
    """Return what a covariate of correlation ρ leaves of the units: 1 − ρ².

    Raises:
        StatisticsError: rho lies outside (−1, 1).
    """
    if not -1 < rho < 1:
        raise StatisticsError(f"rho == {rho:g}, must be in (-1, 1).")
    return 1 - rho * rho


def split_power(power: float, guardrails: int) -> float:
    """Return the power for each of a primary and g guardrails that must all hold: 1 − β / (1 + g).

    The chance that at least one of them fails by bad luck is then at most β.

    Raises:
        StatisticsError: a negative number of guardrails.

    Reference: Schultzberg, Ankargren, Frånberg (2024), Risk-aware product decisions, arXiv 2402.11609.
    """
    if guardrails < 0:
        raise StatisticsError(f"guardrails == {guardrails}, must not be negative.")
    return 1 - (1 - power) / (1 + guardrails)


@dataclass(frozen=True, slots=True)
class Design:
    """What a rule needs and how it ends.

    Attributes:
        drift: expected z at the planned units under the effect that the plan detects.
        inflation: planned units over those of a single look.
        final_bound: critical value of the last look.
        power: at that drift, by the planned units.
        mean_stop: mean share of the planned units under no effect, under it, and under half of it.
    """

    drift: float
    inflation: float
    final_bound: float
    power: float
    mean_stop: tuple[float, float, float]


# A form asks for the same few designs again and again, and each is seconds of integration.
@lru_cache(maxsize=64)
def design(
    rule: Rule,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    looks: int = LOOKS,
    futility: bool = False,
    spending: str = "obf2",
) -> Design:
    """Return what a rule needs to reach a power by the planned units.

    Evenly spaced looks. `alpha` is what the rule may spend before the planned units: a reserve for
    later is taken off by the caller. `exact` is planned as `always_valid`, whose mixture it shares.

    Raises:
        StatisticsError: alpha, power or the number of looks is out of range.
    """
    z_a, z_b = _check(alpha, power)
    if looks < 1:
        raise StatisticsError(f"looks == {looks}, must be at least 1.")
    fractions = [k / looks for k in range(1, looks + 1)]
    if rule == "fixed":
        fractions, bounds = [1.0], [z_a]
    elif rule == "group_sequential":
        bounds = bounds_at(fractions, alpha=alpha, spending=SPENDING[spending])
    else:
        bounds = [half_width_in_se(t, alpha=alpha, planned_n=1.0) for t in fractions]

    def ends(drift: float, plan: float) -> Crossing:
        inner = None
        if futility and rule != "fixed":
            inner = [futility_bound(t, drift=plan, final_bound=bounds[-1]) for t in fractions]
        return crossing_probabilities(fractions, bounds, drift=drift, inner=inner)

    # The futility bound depends on the drift, which depends on what the bound costs: solved as one.
    drift = find_root(lambda d: ends(d, d).upper.sum() - power, 0.1, 10.0, xtol=1e-7)
    return Design(
        drift=drift,
        inflation=(drift / (z_a + z_b)) ** 2,
        final_bound=bounds[-1],
        power=power,
        mean_stop=(
            ends(0.0, drift).mean_stop(fractions),
            ends(drift, drift).mean_stop(fractions),
            ends(drift / 2, drift).mean_stop(fractions),
        ),
    )


def inflation(
    rule: Rule,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    reserve: float = 0.0,
    looks: int = LOOKS,
    futility: bool = False,
) -> float:
    """Return the units that a rule plans over those of one look at the whole alpha.

    Pays for repeated looks, for the part of alpha kept in reserve, and for stopping when hopeless.

    Raises:
        StatisticsError: an argument out of range.
    """
    z_a, z_b = _check(alpha, power)
    needs = design(rule, alpha=alpha - reserve, power=power, looks=looks, futility=futility)
    return (needs.drift / (z_a + z_b)) ** 2


def futility_bound(t: float, *, drift: float, final_bound: float) -> float:
    """Return |z| below which neither direction has 10 % conditional power; 0 before 30 % information.

    Conditional power at the planned effect: Φ((|z| √t + θ (1 − t) − b) / √(1 − t)).

    Reference: Lan, Simon, Halperin (1982), Stochastically curtailed tests, Sequential Analysis 1.
    """
    if not FUTILITY_FROM <= t < 1:
        return 0.0
    needed = final_bound + float(special.ndtri(FUTILITY_POWER)) * math.sqrt(1 - t) - drift * (1 - t)
    return max(needed / math.sqrt(t), 0.0)


def power_of(units_ratio: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the power of one look with a multiple of the units that give a power.

    Counts the side of the effect alone: Φ(√ratio (z_α + z_β) − z_α).
    """
    z_a, z_b = _check(alpha, power)
    return float(special.ndtr(math.sqrt(units_ratio) * (z_a + z_b) - z_a))


def days_for(
    units: float, traffic: Sequence[float], *, allocation: float = 1.0, window_days: float = 0.0
) -> int:
    """Return after how many days enough units are complete.

    Args:
        units: over all variants.
        traffic: new units a day: one number, or seven, Monday first; the run starts on a Monday.
        allocation: share of them in the experiment.
        window_days: how long a unit takes to be complete.

    Raises:
        StatisticsError: traffic that is not positive or not one or seven numbers, a share out of range.
    """
    if len(traffic) not in {1, 7}:
        raise StatisticsError(f"traffic has {len(traffic)} numbers, must have 1 or 7 (Monday first).")
    if min(traffic) < 0 or sum(traffic) <= 0:
        raise StatisticsError(f"traffic == {min(traffic):g}, must be positive.")
    if not 0 < allocation <= 1:
        raise StatisticsError(f"allocation == {allocation:g}, must be in (0, 1].")
    week = [traffic[n % len(traffic)] * allocation for n in range(7)]
    weeks, rest = divmod(units, sum(week))
    days = 7 * int(weeks)
    for daily in week:
        if rest <= 1e-9:  # rounding must not ask for one day more
            break
        rest -= daily
        days += 1
    return days + math.ceil(window_days)
