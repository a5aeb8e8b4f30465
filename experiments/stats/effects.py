"""Differences between two variants with their standard errors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from experiments.kinds import PROPORTIONS
from experiments.stats.effect import Effect, mantel_haenszel_weights, score_statistic
from experiments.stats.quantiles import Sketch
from experiments.stats.roots import find_root
from experiments.stats.special_functions import special
from experiments.stats.strata import MeanStratum, ProportionStratum, QuantileStratum
from experiments.stats.totals import Moments, StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.kinds import MetricKind
    from experiments.stats.strata import Stratum

Summary = Totals | Moments | Sketch
ONE_VALUE = "standard error == 0, must be positive: every unit has one value."
USUAL = 1.959963984540054  # two-sided critical value of the standard normal at 5 %
UNEQUAL = 1.5  # units of one variant over the other's from which a split is not about half


def critical_value(alpha: float, df: float = math.inf) -> float:
    """Return the two-sided critical value of the normal, or of Student's t with df.

    Raises:
        StatisticsError: alpha lies outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    return float(-special.ndtri(alpha / 2) if math.isinf(df) else -special.stdtrit(df, alpha / 2))


class Linear(NamedTuple):
    """A variant's statistic as a mean of independent contributions, one a unit.

    Attributes:
        n: units.
        level: the statistic: mean or ratio.
        variance: sample variance of the contributions.
        covariate: mean or ratio of the covariate.
        covariate_squares: centred sum of squares of the covariate's contributions.
        products: centred sum of products of both.
    """

    n: int
    level: float
    variance: float
    covariate: float
    covariate_squares: float
    products: float


def linearise(kind: MetricKind, summary: Totals | Moments) -> Linear:
    """Write a mean or a ratio as a mean of contributions.

    A ratio r = Σy / Σd contributes (y − r d) / d̄ per unit (the delta method); its covariate, where it
    has a denominator that varies, likewise.
    """
    m = summary.moments()
    if m.n < 2:
        raise StatisticsError(f"n == {m.n}, must be at least 2.")
    if kind != "ratio":
        return Linear(m.n, m.y, m.yy / (m.n - 1), m.x, m.xx, m.yx)
    if m.d == 0:
        raise StatisticsError("sum of the denominator == 0, must not be zero.")
    r = m.y / m.d
    # A quadratic form that cannot be negative, but for rounding where y is r times d throughout.
    squares = (m.yy - 2 * r * m.yd + r * r * m.dd) / (m.d * m.d)
    variance = max(squares, 0.0) / (m.n - 1)
    if m.ww == 0 or m.w == 0:  # a covariate without a denominator of its own
        return Linear(m.n, r, variance, m.x, m.xx, (m.yx - r * m.dx) / m.d)
    rx = m.x / m.w
    return Linear(
        n=m.n,
        level=r,
        variance=variance,
        covariate=rx,
        covariate_squares=max(m.xx - 2 * rx * m.xw + rx * rx * m.ww, 0.0) / (m.w * m.w),
        products=(m.yx - rx * m.yw - r * m.dx + r * rx * m.dw) / (m.d * m.w),
    )


def compare(
    kind: MetricKind,
    control: Summary,
    treatment: Summary,
    *,
    quantile: float = 0.5,
    adjust: bool = True,
    cautious: bool = False,
) -> Effect:
    """Compare two variants within one epoch.

    Assumptions: units are independent, each is in one variant, n is large enough for the central
    limit theorem (the policy's count gates see to that); a covariate was measured before exposure.

    Formulas: a mean by Welch's standard error √(s²_c / n_c + s²_t / n_t) and degrees of freedom; a
    proportion p, without covariate, by the score test (pooled variance) and its inversion; a ratio
    Σy / Σd by the delta method over units; a quantile by the share of units below the pooled one and
    the inversion of that test, its standard error the interval's. Where each variant has one value,
    and not the same one, the standard error is that under no difference, |difference| / √n.
    With a covariate (CUPED) the contributions become y − θ (x − x̄), with x̄ and θ over both
    variants together (pooled), one θ per metric and epoch (`_theta`).

    Args:
        kind: what the totals are of.
        control: totals, moments or, for a quantile, the sketch of the control.
        treatment: the same of the treatment.
        quantile: which quantile, in (0, 1).
        adjust: whether a covariate that is there is used.
        cautious: whether means and ratios of an unequal split take Student's pooled variance where it
            is the larger one (`_pooled_where_larger`), as verdicts do.

    Raises:
        StatisticsError: fewer than two units in a variant, one value throughout, or a zero denominator.

    References:
        Welch (1947), Biometrika 34. Deng, Knoblich, Lu (2018), Applying the delta method in metric
        analytics, KDD. Deng, Xu, Kohavi, Walker (2013), CUPED, WSDM.
    """
    if isinstance(control, Sketch) or isinstance(treatment, Sketch):
        if not (isinstance(control, Sketch) and isinstance(treatment, Sketch)):
            raise StatisticsError("quantile: one side is a sketch and the other is not.")
        return _compare_quantiles(quantile, control, treatment)
    c, t = linearise(kind, control), linearise(kind, treatment)
    theta = _theta(kind, c, t) if adjust else None
    if theta is not None:
        return _adjusted(c, t, theta=theta, cautious=cautious)
    if kind in PROPORTIONS:
        return _compare_proportions(c, t)
    return _effect(c, t, (c.level, t.level), (c.variance, t.variance), cautious=cautious)


def _compare_proportions(c: Linear, t: Linear) -> Effect:
    pooled = (c.n * c.level + t.n * t.level) / (c.n + t.n)
    test_se = math.sqrt(max(pooled * (1 - pooled), 0.0) * (1 / c.n + 1 / t.n))
    if test_se <= 0:
        raise StatisticsError(ONE_VALUE)
    var_c, var_t = (side.level * (1 - side.level) / side.n for side in (c, t))
    estimate = t.level - c.level
    return Effect(
        control=c.level,
        treatment=t.level,
        estimate=estimate,
        # 0 of n against n of n has no unpooled error; the pooled one stands in for display.
        se=math.sqrt(var_c + var_t) or test_se,
        statistic=estimate / test_se,
        control_n=c.n,
        treatment_n=t.n,
        control_se=math.sqrt(var_c),
        treatment_se=math.sqrt(var_t),
        unadjusted=estimate,
        strata=(ProportionStratum(c.n, c.n * c.level, t.n, t.n * t.level),),
    )


def _theta(kind: MetricKind, c: Linear, t: Linear) -> float | None:
    """Return the slope of the value on its covariate; None where the covariate does not vary.

    Means: cov / var of both variants together. Ratios, whose contributions are centred within their
    variant: the variants' covariances over their variances, each variant counting once.
    """
    if kind == "ratio":
        spread = sum(side.covariate_squares / (side.n - 1) for side in (c, t))
        return sum(side.products / (side.n - 1) for side in (c, t)) / spread if spread > 0 else None
    both, apart = c.n * t.n / (c.n + t.n), t.covariate - c.covariate
    spread = c.covariate_squares + t.covariate_squares + both * apart * apart
    products = c.products + t.products + both * apart * (t.level - c.level)
    return products / spread if spread > 0 else None


def _adjusted(c: Linear, t: Linear, *, theta: float, cautious: bool) -> Effect:
    centre = (c.n * c.covariate + t.n * t.covariate) / (c.n + t.n)
    levels = [side.level - theta * (side.covariate - centre) for side in (c, t)]
    variances = [
        max(
            side.variance
            - (2 * theta * side.products - theta * theta * side.covariate_squares) / (side.n - 1),
            0.0,
        )
        for side in (c, t)
    ]
    before = c.variance / c.n + t.variance / t.n
    after = variances[0] / c.n + variances[1] / t.n
    reduction = 1 - after / before if before > 0 else 0.0
    return _effect(
        c,
        t,
        (levels[0], levels[1]),
        (variances[0], variances[1]),
        reduction=reduction,
        cautious=cautious,
    )


def _pooled_where_larger(sizes: tuple[int, int], variances: tuple[float, float]) -> tuple[float, float]:
    """Return both variances, or the pooled one twice if the split is unequal and it says more.

    A small variant that happens to have none of the rare large values looks certain by its own
    variance: of heavy-tailed revenue at 90/10 a fifth of all A/A tests failed. In equal groups both
    standard errors are the same, and the skewness cancels.
    """
    (n_c, n_t), (var_c, var_t) = sizes, variances
    if max(n_c, n_t) < UNEQUAL * min(n_c, n_t):
        return variances
    pooled = ((n_c - 1) * var_c + (n_t - 1) * var_t) / (n_c + n_t - 2)
    if pooled * (1 / n_c + 1 / n_t) <= var_c / n_c + var_t / n_t:
        return variances
    return pooled, pooled


def _effect(
    c: Linear,
    t: Linear,
    levels: tuple[float, float],
    variances: tuple[float, float],
    *,
    cautious: bool,
    reduction: float | None = None,
) -> Effect:
    if cautious:
        variances = _pooled_where_larger((c.n, t.n), variances)
    var_c, var_t = variances[0] / c.n, variances[1] / t.n
    total, estimate = var_c + var_t, levels[1] - levels[0]
    stratum = MeanStratum(c.n, levels[0], var_c, t.n, levels[1], var_t)
    if total > 0:
        se = math.sqrt(total)
        df = total**2 / (var_c**2 / (c.n - 1) + var_t**2 / (t.n - 1))
    elif estimate:  # one value in each variant, and not the same: evidence, not an error
        se, df = math.sqrt(stratum.variance_of_one_value_each), c.n + t.n - 2.0
    else:
        raise StatisticsError(ONE_VALUE)
    return Effect(
        control=levels[0],
        treatment=levels[1],
        estimate=estimate,
        se=se,
        statistic=estimate / se,
        control_n=c.n,
        treatment_n=t.n,
        control_se=math.sqrt(var_c),
        treatment_se=math.sqrt(var_t),
        df=df,
        unadjusted=t.level - c.level,
        variance_reduction=reduction,
        strata=(stratum,),
    )


def _compare_quantiles(q: float, control: Sketch, treatment: Sketch) -> Effect:
    if not 0 < q < 1:
        raise StatisticsError(f"quantile == {q:g}, must be in (0, 1).")
    for side in (control, treatment):
        side.require_units(q)
    levels = [side.quantile(q) for side in (control, treatment)]
    if levels == [0, 0]:
        raise StatisticsError(f"quantile {q:g} == 0 in both variants, must differ from 0 in one.")
    stratum = QuantileStratum.of(q, control, treatment)
    statistic = score_statistic((stratum,), lambda s: s.from_difference(0.0))
    if len((control + treatment).counts) < 2:
        raise StatisticsError(ONE_VALUE)
    effect = Effect(
        control=levels[0],
        treatment=levels[1],
        estimate=levels[1] - levels[0],
        se=0.0,
        statistic=statistic,
        control_n=control.n,
        treatment_n=treatment.n,
        control_se=control.standard_error(q),
        treatment_se=treatment.standard_error(q),
        unadjusted=levels[1] - levels[0],
        strata=(stratum,),
    )
    return replace(effect, se=_se_of(effect))


def _se_of(effect: Effect) -> float:
    """Return the standard error that a normal interval as wide as the test's would have."""
    low, high = effect.interval(USUAL)
    if low is None or high is None or high <= low:
        return math.hypot(effect.control_se, effect.treatment_se)
    return (high - low) / (2 * USUAL)


def newcombe_interval(control: Totals, treatment: Totals, critical: float) -> tuple[float, float]:
    """Return Newcombe's interval of a difference of proportions.

    The two Wilson intervals joined by squares: it holds its level for small counts and shares near 0
    or 1, where Wald's does not.

    Args:
        control: totals of a proportion.
        treatment: likewise.
        critical: of the standard normal, such as 1.96.

    Raises:
        StatisticsError: a variant has no units.

    Reference:
        Newcombe (1998), Statistics in Medicine 17, method 10.
    """
    p_c, p_t = control.mean, treatment.mean
    low_c, high_c = _wilson(p_c, control.n, critical)
    low_t, high_t = _wilson(p_t, treatment.n, critical)
    estimate = p_t - p_c
    return (
        estimate - math.hypot(p_t - low_t, high_c - p_c),
        estimate + math.hypot(high_t - p_t, p_c - low_c),
    )


def _wilson(p: float, n: int, z: float) -> tuple[float, float]:
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def stratify(effects: Sequence[Effect], *, weights: Sequence[float] = ()) -> Effect:
    """Combine the effects of epochs, by default with Mantel-Haenszel weights n_t n_c / n.

    Assumptions: the effect is one and the same in every epoch, or their weighted mean is of interest.
    Totals of epochs with different allocation or weights are never pooled: a base rate that drifts
    while the split changes would look like an effect.

    Args:
        effects: one an epoch.
        weights: of the epochs, positive, in any scale; empty: Mantel and Haenszel's.

    Raises:
        StatisticsError: there is nothing to combine.

    Reference:
        Mantel & Haenszel (1959), JNCI 22; the weights of their risk difference.
    """
    if not effects:
        raise StatisticsError("no epoch has two variants with at least two units each.")
    if len(effects) == 1:
        return effects[0]
    strata = tuple(stratum for effect in effects for stratum in effect.strata)
    total = sum(weights)
    own = tuple(weight / total for weight in weights)
    shares = own or mantel_haenszel_weights(strata)

    def mean(values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(shares, values, strict=True))

    def root(errors: Sequence[float]) -> float:
        return math.sqrt(sum((w * v) ** 2 for w, v in zip(shares, errors, strict=True)))

    quantile = isinstance(strata[0], QuantileStratum)
    estimate = _common_shift(strata, own) if quantile else mean([e.estimate for e in effects])
    control, se = mean([e.control for e in effects]), root([e.se for e in effects])
    linear = isinstance(strata[0], MeanStratum)
    reductions = [e.variance_reduction for e in effects if e.variance_reduction is not None]
    return Effect(
        control=control,
        treatment=control + estimate,
        estimate=estimate,
        se=se,
        statistic=estimate / se
        if linear
        else score_statistic(strata, lambda stratum: stratum.from_difference(0.0), weights=own),
        control_n=sum(e.control_n for e in effects),
        treatment_n=sum(e.treatment_n for e in effects),
        control_se=root([e.control_se for e in effects]),
        treatment_se=root([e.treatment_se for e in effects]),
        df=math.inf if any(math.isinf(e.df) for e in effects) else sum(e.df for e in effects),
        unadjusted=mean([e.unadjusted for e in effects]),
        variance_reduction=mean([e.variance_reduction or 0.0 for e in effects]) if reductions else None,
        strata=strata,
        weights=own,
    )


def _common_shift(strata: Sequence[Stratum], weights: Sequence[float]) -> float:
    """Return the shift of the treatment at which its shares below the quantiles are the control's."""
    reaches = [stratum.reach for stratum in strata]
    # One beyond the reach: there the excess has the two signs that a root finder needs.
    low, high = min(low for low, _ in reaches) - 1, max(high for _, high in reaches) + 1

    def excess(shift: float) -> float:
        return score_statistic(strata, lambda stratum: stratum.from_difference(shift), weights=weights)

    return find_root(excess, low, high, xtol=1e-12)
