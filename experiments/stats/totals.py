"""Sufficient statistics: the narrow waist between data and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self


class StatisticsError(ValueError):
    """The question cannot be answered; the message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Additive totals of one variant.

    Attributes:
        n: units.
        nonzero: units whose value is not zero.
        sum_y: Σy, the value or the numerator.
        sum_yy: Σy².
        sum_d: Σd, the denominator of a ratio; n otherwise.
        sum_dd: Σd².
        sum_yd: Σyd.
    """

    n: int = 0
    nonzero: int = 0
    sum_y: float = 0.0
    sum_yy: float = 0.0
    sum_d: float = 0.0
    sum_dd: float = 0.0
    sum_yd: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Totals)))

    @classmethod
    def of(cls, values: list[float], denominators: list[float] | None = None) -> Self:
        """Sum units; for tests, simulation and recomputation."""
        below = denominators if denominators is not None else [1.0] * len(values)
        return cls(
            n=len(values),
            nonzero=sum(1 for y in values if y != 0),
            sum_y=sum(values),
            sum_yy=sum(y * y for y in values),
            sum_d=sum(below),
            sum_dd=sum(d * d for d in below),
            sum_yd=sum(y * d for y, d in zip(values, below, strict=True)),
        )

    @property
    def mean(self) -> float:
        """Mean of y per unit.

        Raises:
            StatisticsError: there are no units.
        """
        if self.n < 1:
            raise StatisticsError(f"n == {self.n}, must be at least 1.")
        return self.sum_y / self.n

    @property
    def variance(self) -> float:
        """Unbiased sample variance of y.

        Raises:
            StatisticsError: there are fewer than two units.
        """
        if self.n < 2:
            raise StatisticsError(f"n == {self.n}, must be at least 2.")
        return max(self.sum_yy - self.sum_y * self.sum_y / self.n, 0.0) / (self.n - 1)

    @property
    def ratio(self) -> float:
        """Σy / Σd.

        Raises:
            StatisticsError: the denominator sums to zero.
        """
        if self.sum_d == 0:
            raise StatisticsError("sum of the denominator == 0, must not be zero.")
        return self.sum_y / self.sum_d

    @property
    def ratio_variance(self) -> float:
        """Variance of one unit's contribution to the ratio, by the delta method.

        With r = Σy / Σd it is the sample variance of (y − r d) / mean(d).
        """
        if self.n < 2:
            raise StatisticsError(f"n == {self.n}, must be at least 2.")
        r, mean_d = self.ratio, self.sum_d / self.n
        # Σ(y − r d) is zero by the definition of r, so the sum of squares needs no centring.
        squares = self.sum_yy - 2 * r * self.sum_yd + r * r * self.sum_dd
        return max(squares, 0.0) / (self.n - 1) / (mean_d * mean_d)
