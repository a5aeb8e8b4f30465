"""What one epoch says of a difference or a ratio that is supposed to be true.

Each stratum answers with the distance between what was seen and what was supposed, and with the
variance that the distance has if it is true. A statistic is their quotient, summed over epochs; an
interval is the set of the differences whose statistic stays within a critical value. Verdict, interval
and p-value are then one and the same test and cannot contradict each other.

References:
    Miettinen & Nurminen (1985), Comparative analysis of two rates, Statistics in Medicine 4 (the
    variance of proportions under a difference or a ratio; its factor N / (N − 1) is left out, so that
    the test of no difference is the pooled one). Fieller (1954), JRSS B 16 (ratios of means). Mood
    (1954), AMS 25 (the median test, here for any quantile and with ties).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.stats.quantiles import Sketch


class Distance(NamedTuple):
    """How far the data are from a supposed difference or ratio.

    Attributes:
        value: positive where the treatment lies above what was supposed.
        variance: of the value, if what was supposed is true.
    """

    value: float
    variance: float


class Stratum(Protocol):
    """One epoch of two variants."""

    @property
    def control_n(self) -> int:
        """Units in the control."""

    @property
    def treatment_n(self) -> int:
        """Units in the treatment."""

    @property
    def reach(self) -> tuple[float, float]:
        """Differences beyond which nothing can lie; infinite where there is no such end."""

    def from_difference(self, difference: float) -> Distance:
        """Return the distance from a supposed difference, treatment − control."""

    def from_ratio(self, ratio: float) -> Distance:
        """Return the distance from a supposed ratio, treatment / control, which is positive."""


@dataclass(frozen=True, slots=True)
class ProportionStratum:
    """Conversions among units."""

    control_n: int
    control_x: float
    treatment_n: int
    treatment_x: float

    @property
    def reach(self) -> tuple[float, float]:
        """Two shares differ by at most one."""
        return -1.0, 1.0

    def from_difference(self, difference: float) -> Distance:
        """Return the distance with the variance at the likeliest shares that have this difference."""
        p_c, p_t = self.control_x / self.control_n, self.treatment_x / self.treatment_n
        control = self._restricted_by_difference(difference)
        return Distance(p_t - p_c - difference, self._variance(control, control + difference))

    def from_ratio(self, ratio: float) -> Distance:
        """Return the distance with the variance at the likeliest shares that have this ratio."""
        p_c, p_t = self.control_x / self.control_n, self.treatment_x / self.treatment_n
        control = self._restricted_by_ratio(ratio)
        treatment = min(ratio * control, 1.0)
        variance = (
            treatment * (1 - treatment) / self.treatment_n
            + ratio * ratio * control * (1 - control) / self.control_n
        )
        return Distance(p_t - ratio * p_c, variance)

    def _variance(self, control: float, treatment: float) -> float:
        return control * (1 - control) / self.control_n + treatment * (1 - treatment) / self.treatment_n

    def _pooled(self) -> float:
        return (self.control_x + self.treatment_x) / (self.control_n + self.treatment_n)

    def _restricted_by_difference(self, d: float) -> float:
        """Return the control's share of greatest likelihood where the treatment's is d above it.

        The root of Miettinen and Nurminen's cubic, in closed form.
        """
        if d == 0:  # exactly the pooled share: the cosine below would lose half of the digits
            return self._pooled()
        n, x = self.control_n + self.treatment_n, self.control_x + self.treatment_x
        a2 = ((self.treatment_n + 2 * self.control_n) * d - n - x) / n
        a1 = ((self.control_n * d - n - 2 * self.control_x) * d + x) / n
        a0 = self.control_x * d * (1 - d) / n
        q = (a2 / 3) ** 3 - a1 * a2 / 6 + a0 / 2
        p = math.copysign(math.sqrt(max((a2 / 3) ** 2 - a1 / 3, 0.0)), q)
        # Rounding takes the cosine a digit beyond 1 at the ends, and p is 0 where all roots are one.
        cosine = min(max(q / p**3, -1.0), 1.0) if p else 0.0
        root = 2 * p * math.cos((math.pi + math.acos(cosine)) / 3) - a2 / 3
        return min(max(root, 0.0, -d), 1.0, 1.0 - d)

    def _restricted_by_ratio(self, ratio: float) -> float:
        """Return the control's share of greatest likelihood where the treatment's is ratio times it."""
        if ratio == 1:
            return self._pooled()
        a = (self.control_n + self.treatment_n) * ratio
        b = ratio * (self.treatment_n + self.control_x) + self.treatment_x + self.control_n
        c = self.control_x + self.treatment_x
        # This form of the quadratic root loses no digits where b² is far larger than 4ac.
        root = 2 * c / (b + math.sqrt(max(b * b - 4 * a * c, 0.0)))
        return min(root, 1.0, 1.0 / ratio)


@dataclass(frozen=True, slots=True)
class MeanStratum:
    """Two means, or ratios, each with the variance of its own.

    Attributes:
        control_n: units in the control.
        control: its mean.
        control_variance: of the mean.
        treatment_n: units in the treatment.
        treatment: its mean.
        treatment_variance: of the mean.
    """

    control_n: int
    control: float
    control_variance: float
    treatment_n: int
    treatment: float
    treatment_variance: float

    @property
    def reach(self) -> tuple[float, float]:
        """A mean may lie anywhere."""
        return -math.inf, math.inf

    def from_difference(self, difference: float) -> Distance:
        """Return the distance; its variance does not depend on the difference."""
        return Distance(
            self.treatment - self.control - difference, self.control_variance + self.treatment_variance
        )

    def from_ratio(self, ratio: float) -> Distance:
        """Return Fieller's distance."""
        variance = self.treatment_variance + ratio * ratio * self.control_variance
        return Distance(self.treatment - ratio * self.control, variance)

    @property
    def student_variance(self) -> float:
        """Variance of the difference if both variants have one spread: Student's.

        A variant in which a rare value happens to be missing does not look certain then.
        """
        squares = sum(
            variance * n * (n - 1)
            for variance, n in (
                (self.control_variance, self.control_n),
                (self.treatment_variance, self.treatment_n),
            )
        )
        return squares / (self.control_n + self.treatment_n - 2) * self._apart

    @property
    def _apart(self) -> float:
        return 1 / self.control_n + 1 / self.treatment_n

    @property
    def variance_of_one_value_each(self) -> float:
        """Variance of the difference in a random split of units that have one of two values.

        For variants without any spread of their own: (difference)² / (n − 1), nearly.
        """
        n, apart = self.control_n + self.treatment_n, self.treatment - self.control
        return apart * apart / (n - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """A distribution from a sketch: units below a value, linear within each bucket.

    Attributes:
        values: lower and upper end of each bucket in turn, shape (2 k,), never falling.
        below: units below each of them, shape (2 k,).
    """

    values: NDArray[np.float64]
    below: NDArray[np.float64]

    @classmethod
    def of(cls, sketch: Sketch) -> _Steps:
        lows, highs, counts = sketch.buckets()
        ends = np.concatenate([[0.0], np.cumsum(counts)])
        return cls(
            np.column_stack([lows, highs]).ravel(), np.column_stack([ends[:-1], ends[1:]]).ravel()
        )

    def second_moment(self, below: float) -> float:
        """Return Σ s² of the scores s: 1 below a value, 0 above, the share below within its bucket."""
        # The rank of the largest unit lies at the end of the last bucket, not behind it.
        k = min(int(np.searchsorted(self.below[1::2], below)), len(self.below) // 2 - 1)
        low, high = self.below[2 * k], self.below[2 * k + 1]
        inside = min(max((below - low) / (high - low), 0.0), 1.0)
        return float(low + inside * inside * (high - low))


@dataclass(frozen=True, slots=True)
class QuantileStratum:
    """The units of two variants beside the quantile of both together.

    The distance is the control's share of units below the pooled quantile less the treatment's, with
    the variance that scores have in a random split of the same units. Units that share the quantile's
    bucket are below it by the same fraction in both variants, so ties of rounded values cost power
    and never level.

    Attributes:
        q: which quantile.
        control_n: units in the control.
        treatment_n: units in the treatment.
        control: its distribution.
        treatment: its distribution.
    """

    q: float
    control_n: int
    treatment_n: int
    control: _Steps = field(repr=False)
    treatment: _Steps = field(repr=False)

    @classmethod
    def of(cls, q: float, control: Sketch, treatment: Sketch) -> QuantileStratum:
        """Prepare two sketches."""
        return cls(q, control.n, treatment.n, _Steps.of(control), _Steps.of(treatment))

    @property
    def reach(self) -> tuple[float, float]:
        """Beyond them every unit of one variant lies below every unit of the other."""
        low = float(self.treatment.values[0] - self.control.values[-1])
        high = float(self.treatment.values[-1] - self.control.values[0])
        return low, high

    def from_difference(self, difference: float) -> Distance:
        """Return the distance of the control from the treatment shifted by the difference."""
        return self._against(self.treatment.values - difference)

    def from_ratio(self, ratio: float) -> Distance:
        """Return the distance of the control from the treatment scaled by the ratio."""
        return self._against(self.treatment.values / ratio)

    def _against(self, treatment: NDArray[np.float64]) -> Distance:
        control = self.control
        knots = np.sort(np.concatenate([control.values, treatment]))
        below_c = np.interp(knots, control.values, control.below, left=0.0)
        below_t = np.interp(knots, treatment, self.treatment.below, left=0.0)
        n, pooled = self.control_n + self.treatment_n, below_c + below_t
        rank = self.q * n
        k = min(max(int(np.searchsorted(pooled, rank)), 1), len(knots) - 1)
        step = pooled[k] - pooled[k - 1]
        # Between two knots no unit may lie: any value there is the quantile, and the lower is taken.
        part = min(max((rank - pooled[k - 1]) / step, 0.0), 1.0) if step > 0 else 0.0
        c = float(below_c[k - 1] + part * (below_c[k] - below_c[k - 1]))
        t = float(below_t[k - 1] + part * (below_t[k] - below_t[k - 1]))
        moment = (control.second_moment(c) + self.treatment.second_moment(t)) / n
        # Below 0 by rounding alone, where every unit shares one bucket.
        variance = max(moment - self.q * self.q, 0.0) * n / (n - 1)
        apart = 1 / self.control_n + 1 / self.treatment_n
        return Distance(c / self.control_n - t / self.treatment_n, variance * apart)
