"""Differences between two variants with their standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scipy.special import ndtr, ndtri

from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["proportion", "mean", "ratio"]


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment − control, in the metric's unit.

    Attributes:
        control: the control's mean, proportion or ratio.
        treatment: the treatment's.
        estimate: the difference; over several epochs the stratified one.
        se: its standard error, variances not pooled: the intervals' one.
        statistic: z of the test of no difference (pooled variance for proportions).
        control_n: units in the control.
        treatment_n: units in the treatment.
        control_se: standard error of the control's mean alone.
        treatment_se: standard error of the treatment's.
    """

    control: float
    treatment: float
    estimate: float
    se: float
    statistic: float
    control_n: int
    treatment_n: int
    control_se: float
    treatment_se: float

    @property
    def log_se(self) -> float | None:
        """Standard error of log(treatment / control); None where a mean is not positive."""
        if self.control <= 0 or self.treatment <= 0:
            return None
        return math.hypot(self.control_se / self.control, self.treatment_se / self.treatment)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of one fixed look."""
        return float(2 * ndtr(-abs(self.statistic)))

    def interval(self, critical: float) -> tuple[float, float]:
        """Return the interval of the difference at a critical value, in standard errors."""
        half = critical * self.se
        return self.estimate - half, self.estimate + half

    @property
    def lift(self) -> float | None:
        """Relative difference, (control + estimate) / control − 1; None without a positive base."""
        return self.estimate / self.control if self.control > 0 else None

    def lift_interval(self, critical: float) -> tuple[float, float] | None:
        """Return the interval of the lift, on the log scale, so that it never passes −100 %."""
        lift = self.lift
        if lift is None or self.log_se is None or lift <= -1:
            return None
        centre, half = math.log1p(lift), critical * self.log_se
        return math.expm1(centre - half), math.expm1(centre + half)

    @property
    def probability_better(self) -> float:
        """P(treatment > control) under a flat prior; for display, never for a decision."""
        return float(ndtr(self.estimate / self.se))


def critical_value(alpha: float) -> float:
    """Return the two-sided normal critical value.

    Raises:
        StatisticsError: alpha lies outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha == {alpha:g}, must be in (0, 1).")
    return float(-ndtri(alpha / 2))


def compare(kind: Kind, control: Totals, treatment: Totals) -> Effect:
    """Compare two variants within one epoch.

    Assumptions: units are independent, each is in one variant, n is large enough for the central
    limit theorem (the policy's count gates see to that).

    Formulas: a mean by Welch's standard error √(s²_c / n_c + s²_t / n_t); a proportion p with
    s² = p (1 − p), tested with the pooled variance; a ratio Σy / Σd by the delta method over units.

    Args:
        kind: what the totals are of.
        control: totals of the control.
        treatment: totals of the treatment.

    Raises:
        StatisticsError: fewer than two units in a variant, no variance, or a zero denominator.

    References:
        Deng, Knoblich, Lu (2018), Applying the delta method in metric analytics.
    """
    if kind == "ratio":
        means = control.ratio, treatment.ratio
        variances = control.ratio_variance, treatment.ratio_variance
    elif kind == "proportion":
        means = control.mean, treatment.mean
        variances = means[0] * (1 - means[0]), means[1] * (1 - means[1])
    else:
        means = control.mean, treatment.mean
        variances = control.variance, treatment.variance
    var_c, var_t = variances[0] / control.n, variances[1] / treatment.n
    se = math.sqrt(var_c + var_t)
    test_se = _pooled_se(control, treatment) if kind == "proportion" else se
    if se <= 0 or test_se <= 0:
        raise StatisticsError("standard error == 0, must be positive: every unit has one value.")
    estimate = means[1] - means[0]
    return Effect(
        control=means[0],
        treatment=means[1],
        estimate=estimate,
        se=se,
        statistic=estimate / test_se,
        control_n=control.n,
        treatment_n=treatment.n,
        control_se=math.sqrt(var_c),
        treatment_se=math.sqrt(var_t),
    )


def _pooled_se(control: Totals, treatment: Totals) -> float:
    p = (control.sum_y + treatment.sum_y) / (control.n + treatment.n)
    return math.sqrt(p * (1 - p) * (1 / control.n + 1 / treatment.n))


def stratify(effects: Sequence[Effect]) -> Effect:
    """Combine the effects of epochs with Mantel-Haenszel weights n_t n_c / n.

    Totals of epochs with different allocation or weights are never pooled: a base rate that drifts
    while the split changes would look like an effect.

    Raises:
        StatisticsError: there is nothing to combine.
    """
    if not effects:
        raise StatisticsError("no epoch has two variants with at least two units each.")
    if len(effects) == 1:
        return effects[0]
    raw = [e.control_n * e.treatment_n / (e.control_n + e.treatment_n) for e in effects]
    weights = [w / sum(raw) for w in raw]

    def mean(values: Sequence[float]) -> float:
        return sum(w * v for w, v in zip(weights, values, strict=True))

    def root(errors: Sequence[float]) -> float:
        return math.sqrt(sum((w * v) ** 2 for w, v in zip(weights, errors, strict=True)))

    estimate = mean([e.estimate for e in effects])
    test_se = root([e.estimate / e.statistic if e.statistic else e.se for e in effects])
    return Effect(
        control=mean([e.control for e in effects]),
        treatment=mean([e.treatment for e in effects]),
        estimate=estimate,
        se=root([e.se for e in effects]),
        statistic=estimate / test_se,
        control_n=sum(e.control_n for e in effects),
        treatment_n=sum(e.treatment_n for e in effects),
        control_se=root([e.control_se for e in effects]),
        treatment_se=root([e.treatment_se for e in effects]),
    )
