"""A difference between two variants, its test, and the intervals that follow from the test."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from experiments.stats.roots import find_root
from experiments.stats.special_functions import special
from experiments.stats.strata import MeanStratum, QuantileStratum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.stats.strata import Distance, Stratum

Interval = tuple[float | None, float | None]
# Means that are this many of their own standard errors away from zero have a lift on the log scale;
# nearer ones have one by inverting the test; a control nearer than CLEAR has none.
WELL_AWAY = 10.0
CLEAR = 4.0
FARTHEST_RATIO = 1e6  # a lift beyond it has no end
MIN_P = 5e-324  # the smallest float: a p-value below it is as good as this
FAR = 1e4  # a statistic beyond it is as good as infinite, and a search can work with it
PRECISION, MIN_STEP = 1e-12, 1e-15  # of an end, relative and absolute


def parse_interval(ends: Sequence[float | None] | None) -> Interval | None:
    """Read an interval from JSON, which knows no tuples."""
    return None if ends is None else (ends[0], ends[1])


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment − control, in the metric's unit.

    Attributes:
        control: the control's mean, proportion, ratio or quantile, adjusted by the covariate if any.
        treatment: the treatment's.
        estimate: the difference; over several epochs the stratified one.
        se: its standard error, variances not pooled.
        statistic: test statistic of no difference (pooled variance for proportions without covariate;
            for quantiles that of the share below the pooled quantile).
        control_n: units in the control.
        treatment_n: units in the treatment.
        control_se: standard error of the control's mean alone.
        treatment_se: standard error of the treatment's.
        df: degrees of freedom of Student's t; infinite where the statistic is normal.
        unadjusted: the difference without the covariate.
        variance_reduction: share of the variance that the covariate explains; None without one.
        strata: what the test is made of, one an epoch; the intervals are its inversion.
        weights: of the strata; empty: Mantel and Haenszel's.
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
    df: float = math.inf
    unadjusted: float = 0.0
    variance_reduction: float | None = None
    strata: tuple[Stratum, ...] = field(default=(), compare=False, repr=False)
    weights: tuple[float, ...] = field(default=(), compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return every field but the strata and their weights, which follow from the totals."""
        plain = [one.name for one in fields(self) if one.name not in {"strata", "weights"}]
        data = {name: getattr(self, name) for name in plain}
        return data | {"df": None if math.isinf(self.df) else self.df}  # JSON has no infinity

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Effect:
        """Read what `as_json` wrote. Without strata it is shown, and never tested anew."""
        return cls(**{**data, "df": math.inf if data["df"] is None else data["df"]})

    @property
    def log_se(self) -> float | None:
        """Standard error of log(treatment / control); None where a mean is not positive."""
        if self.control <= 0 or self.treatment <= 0:
            return None
        return math.hypot(self.control_se / self.control, self.treatment_se / self.treatment)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of one fixed look; never zero, which no p is."""
        z = -abs(self.statistic)
        return max(
            float(2 * (special.ndtr(z) if math.isinf(self.df) else special.stdtr(self.df, z))), MIN_P
        )

    @property
    def z(self) -> float:
        """The statistic on the scale of the standard normal, which sequential bounds are made for.

        Of few units a t of 4 is no z of 4. Reference: Wallace (1959), Annals of Mathematical
        Statistics 30, whose approximation has a closed inverse (`of_statistic`).
        """
        if math.isinf(self.df):
            return self.statistic
        size = _wallace(self.df) * math.sqrt(self.df * math.log1p(self.statistic**2 / self.df))
        return math.copysign(size, self.statistic)

    def of_statistic(self, z: float) -> float:
        """Return the statistic whose `z` this is; infinite beyond the floats."""
        if math.isinf(self.df):
            return z
        exponent = (z / _wallace(self.df)) ** 2 / self.df
        return math.sqrt(self.df * math.expm1(exponent)) if exponent < 700 else math.inf

    def interval(self, critical: float) -> Interval:
        """Return the differences that the test does not reject at a critical value of its statistic.

        It excludes 0 exactly where |statistic| reaches the critical value. An end that does not exist
        is None.
        """
        if self.is_linear:
            half = critical * self.se
            return (None, None) if math.isinf(half) else (self.estimate - half, self.estimate + half)
        reaches = [stratum.reach for stratum in self.strata]
        reach = min(low for low, _ in reaches), max(high for _, high in reaches)
        low, high = self._invert(_from_difference, (0.0, self.estimate), critical, reach)
        if self._is_quantile:
            return low, high
        # Shares end where they end: 10 of 10 against none of 20 is a difference of at most 1.
        return reach[0] if low is None else low, reach[1] if high is None else high

    @property
    def lift(self) -> float | None:
        """Relative difference, (control + estimate) / control − 1; None without a positive base."""
        return self.estimate / self.control if self.control > 0 else None

    def log_interval(self, critical: float) -> tuple[float, float] | None:
        """Return the interval of the lift on the log scale, which never passes −100 %."""
        lift = self.lift
        if lift is None or self.log_se is None or lift <= -1:
            return None
        centre, half = math.log1p(lift), critical * self.log_se
        if centre + half > 700:  # beyond the floats: nothing is known upwards
            return None
        return math.expm1(centre - half), math.expm1(centre + half)

    def lift_interval(self, critical: float) -> tuple[float, float] | None:
        """Return the interval of the lift, or None: `relative` says why."""
        return self.relative(critical)[0]

    def relative(self, critical: float) -> tuple[tuple[float, float] | None, str]:
        """Return the interval of the lift, or why there is none.

        It excludes 0 exactly where the interval of the difference does. On the log scale where both
        means are well away from zero; where one is not, or where the log scale would contradict the
        test of the difference, by inverting the test of a ratio (Fieller's for means).
        """
        if self.control <= 0:
            return (
                None,
                f"mean of the control == {self.control:.4g}, must be positive for a relative effect",
            )
        if self.control < CLEAR * self.control_se:
            return None, (
                f"mean of the control == {self.control:.4g} ± {self.control_se:.2g}, must be at least "
                f"{CLEAR:g} standard errors above 0 for a relative effect"
            )
        if math.isinf(critical):
            return None, "too few units for a relative effect at this look"
        beyond = abs(self.statistic) >= critical
        scaled = self.log_interval(critical) if self._well_away() else None
        if scaled is not None and beyond == (scaled[0] > 0 or scaled[1] < 0):
            return scaled, ""
        inverted = self._fieller(critical) if self.is_linear else self._invert_ratio(critical)
        if inverted is None:
            return None, (
                f"mean of the control == {self.control:.4g} ± {self.control_se:.2g}, leaves the "
                f"relative effect without an end at {critical:.3g} standard errors"
            )
        return inverted, ""

    @property
    def is_linear(self) -> bool:
        """Whether the test's standard error does not depend on the difference: means and ratios."""
        return not self.strata or isinstance(self.strata[0], MeanStratum)

    @property
    def _is_quantile(self) -> bool:
        return bool(self.strata) and isinstance(self.strata[0], QuantileStratum)

    def _well_away(self) -> bool:
        return (
            self.control >= WELL_AWAY * self.control_se
            and self.treatment >= WELL_AWAY * self.treatment_se
        )

    def _fieller(self, critical: float) -> tuple[float, float] | None:
        """Return the lifts ρ − 1 for which treatment − ρ · control is not significant."""
        if self.se > 1.001 * math.hypot(self.control_se, self.treatment_se):
            # Each variant has one value, so that the test's error belongs to neither.
            half = critical * self.se
            return (self.estimate - half) / self.control, (self.estimate + half) / self.control
        g = (critical * self.control_se / self.control) ** 2
        if g >= 1:
            return None
        ratio = self.treatment / self.control
        spread = math.sqrt(self.treatment_se**2 * (1 - g) + (ratio * self.control_se) ** 2)
        root = critical / self.control * spread
        return (ratio - root) / (1 - g) - 1, (ratio + root) / (1 - g) - 1

    def _invert_ratio(self, critical: float) -> tuple[float, float] | None:
        ratio = max(self.treatment / self.control, 1 / FARTHEST_RATIO)  # of nothing at all: the end
        low, high = self._invert(
            _from_ratio, (1.0, ratio), critical, (1 / FARTHEST_RATIO, FARTHEST_RATIO)
        )
        return None if high is None else (-1.0 if low is None else low - 1, high - 1)

    def _invert(
        self,
        distance: Callable[[Stratum, float], Distance],
        places: tuple[float, float],
        critical: float,
        reach: tuple[float, float],
    ) -> Interval:
        """Return the ends of what the test does not reject; None where it rejects nothing that far.

        The statistic falls as what is supposed rises. Whether "no difference" lies inside is read off
        the effect's own statistic, and the search for an end stays on its side of it: the interval and
        the verdict are one decision, whatever the last digits of a search are.

        Args:
            distance: from what is supposed, of one stratum.
            places: what is supposed under no difference, and what was estimated.
            critical: of the statistic.
            reach: between which ends are looked for.
        """
        null, estimate = places

        def z(supposed: float) -> float:
            return score_statistic(
                self.strata, lambda stratum: distance(stratum, supposed), weights=self.weights
            )

        lower, upper = self.statistic >= critical, self.statistic <= -critical
        low = _find_end(
            lambda x: min(z(x), FAR) - critical,
            null if lower else reach[0],
            max(null, estimate) if lower else min(null, estimate),
        )
        high = _find_end(
            lambda x: max(z(x), -FAR) + critical,
            min(null, estimate) if upper else max(null, estimate),
            null if upper else reach[1],
        )
        return (
            math.nextafter(null, math.inf) if lower and low is not None and low <= null else low,
            math.nextafter(null, -math.inf) if upper and high is not None and high >= null else high,
        )

    @property
    def probability_better(self) -> float:
        """P(treatment > control) under a flat prior; for display, never for a decision."""
        return float(special.ndtr(self._display_z))

    @property
    def _display_z(self) -> float:
        """Estimate over standard error; of a quantile, whose error is a guess, the test's own."""
        return self.statistic if self._is_quantile else self.estimate / self.se

    @property
    def expected_loss(self) -> float:
        """E[max(control − treatment, 0)] under a flat prior; for display, never for a decision.

        For a normal posterior with z = estimate / se it is se · (φ(z) − z Φ(−z)).
        """
        z = self._display_z
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return max(self.se * (density - z * float(special.ndtr(-z))), 0.0)


def mantel_haenszel_weights(strata: Sequence[Stratum]) -> list[float]:
    """Return the weights n_t n_c / n of epochs, summing to 1."""
    raw = [s.control_n * s.treatment_n / (s.control_n + s.treatment_n) for s in strata]
    total = sum(raw)
    return [weight / total for weight in raw]


def score_statistic(
    strata: Sequence[Stratum],
    distance: Callable[[Stratum], Distance],
    *,
    weights: Sequence[float] = (),
) -> float:
    """Return the weighted distances of all epochs over their standard error."""
    weights = weights or mantel_haenszel_weights(strata)
    distances = [distance(stratum) for stratum in strata]
    value = sum(w * d.value for w, d in zip(weights, distances, strict=True))
    variance = sum(w * w * d.variance for w, d in zip(weights, distances, strict=True))
    if variance <= 0:
        return math.copysign(math.inf, value) if value else 0.0
    return value / math.sqrt(variance)


def _from_difference(stratum: Stratum, difference: float) -> Distance:
    return stratum.from_difference(difference)


def _from_ratio(stratum: Stratum, ratio: float) -> Distance:
    return stratum.from_ratio(ratio)


def _wallace(df: float) -> float:
    return (8 * df + 1) / (8 * df + 3)


def _find_end(excess: Callable[[float], float], low: float, high: float) -> float | None:
    """Return where a falling function changes sign; None where it does not between the two places."""
    at_low, at_high = excess(low), excess(high)
    if at_low == 0:
        return low
    if at_high == 0:
        return high
    if (at_low > 0) == (at_high > 0):
        return None
    return find_root(excess, low, high, xtol=MIN_STEP, rtol=PRECISION)
