"""Sufficient statistics: the narrow waist between data and verdicts.

Sums (`Totals`) are what is stored: they merge by addition and are corrected by a difference. Centred
moments (`Moments`) are what every estimator reads: they follow from sums, or are merged by Chan's
update where sums would lose the spread to rounding.

Reference:
    Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance, The American
    Statistician 37 (the merge of moments).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of Σ(y − ȳ)² = Σy² − (Σy)² / n less than this share is rounding, not spread: |mean| / sd > 10⁶.
ROUNDING = 1e-12


class StatisticsError(ValueError):
    """The question cannot be answered; the message names the value and the rule."""


class Moments(NamedTuple):
    """Means and centred sums of products of one variant's units.

    The four columns are y (the value, or a ratio's numerator), d (its denominator, 1 otherwise), and
    the same two measured before exposure: x (the covariate, or its numerator) and w (its denominator).

    Attributes:
        n: units.
        nonzero: units whose y is not zero.
        y: mean of y; d, x and w likewise.
        yy: Σ(y − ȳ)²; the other nine products likewise.
    """

    n: int
    nonzero: int
    y: float
    d: float = 1.0
    x: float = 0.0
    w: float = 1.0
    yy: float = 0.0
    dd: float = 0.0
    xx: float = 0.0
    ww: float = 0.0
    yd: float = 0.0
    yx: float = 0.0
    yw: float = 0.0
    dx: float = 0.0
    dw: float = 0.0
    xw: float = 0.0

    def moments(self) -> Moments:
        """Return itself, so that estimators take sums and moments alike."""
        return self

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of units, by Chan's update."""
        if not self.n or not other.n:
            return other if not self.n else self
        n = self.n + other.n
        share, both = other.n / n, self.n * other.n / n
        step = {name: getattr(other, name) - getattr(self, name) for name in "ydxw"}
        means = {name: getattr(self, name) + share * step[name] for name in "ydxw"}
        products = {
            a + b: getattr(self, a + b) + getattr(other, a + b) + both * step[a] * step[b]
            for a, b in ("yy", "dd", "xx", "ww", "yd", "yx", "yw", "dx", "dw", "xw")
        }
        return Moments(n, self.nonzero + other.nonzero, **means, **products)

    def shifted(self, y: float = 0.0, x: float = 0.0) -> Moments:
        """Return the moments of values to which a constant was added: products stay as they are."""
        return self._replace(y=self.y + y, x=self.x + x)


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
        sum_x: Σx, the covariate, measured before exposure, or its numerator.
        sum_xx: Σx².
        sum_yx: Σyx.
        sum_w: Σw, the denominator of a ratio's covariate; n otherwise.
        sum_ww: Σw².
        sum_yw: Σyw.
        sum_dx: Σdx.
        sum_dw: Σdw.
        sum_xw: Σxw.
    """

    n: int = 0
    nonzero: int = 0
    sum_y: float = 0.0
    sum_yy: float = 0.0
    sum_d: float = 0.0
    sum_dd: float = 0.0
    sum_yd: float = 0.0
    sum_x: float = 0.0
    sum_xx: float = 0.0
    sum_yx: float = 0.0
    sum_w: float = 0.0
    sum_ww: float = 0.0
    sum_yw: float = 0.0
    sum_dx: float = 0.0
    sum_dw: float = 0.0
    sum_xw: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, name) + getattr(other, name) for name in TOTALS))

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        denominators: Sequence[float] | None = None,
        covariates: Sequence[float] | None = None,
        covariate_denominators: Sequence[float] | None = None,
    ) -> Self:
        """Sum units; for tests, simulation and recomputation. Each argument has shape (n,)."""
        n = len(values)
        d = denominators if denominators is not None else [1.0] * n
        x = covariates if covariates is not None else [0.0] * n
        w = covariate_denominators if covariate_denominators is not None else [1.0] * n

        def product(a: Sequence[float], b: Sequence[float]) -> float:
            return float(sum(p * q for p, q in zip(a, b, strict=True)))

        return cls(
            n=n,
            nonzero=sum(1 for y in values if y != 0),
            sum_y=float(sum(values)), sum_yy=product(values, values),
            sum_d=float(sum(d)), sum_dd=product(d, d), sum_yd=product(values, d),
            sum_x=float(sum(x)), sum_xx=product(x, x), sum_yx=product(values, x),
            sum_w=float(sum(w)), sum_ww=product(w, w), sum_yw=product(values, w),
            sum_dx=product(d, x), sum_dw=product(d, w), sum_xw=product(x, w),
        )  # fmt: skip

    @classmethod
    def of_proportion(cls, successes: int, n: int) -> Self:
        """Return the totals of n units of which some have the value 1 and the others 0."""
        return cls.of_mean(n=n, nonzero=successes, total=successes, squares=successes)

    @classmethod
    def of_mean(cls, *, n: int, nonzero: int, total: float, squares: float) -> Self:
        """Return the totals of a metric without denominator or covariate."""
        return cls(
            n=n, nonzero=nonzero, sum_y=total, sum_yy=squares,
            sum_d=n, sum_dd=n, sum_yd=total, sum_w=n, sum_ww=n, sum_yw=total, sum_dw=n,
        )  # fmt: skip

    def moments(self) -> Moments:
        """Return means and centred products.

        A sum of squares that is nothing but rounding counts as zero: a constant column has no
        variance, whatever its last bits say.

        Raises:
            StatisticsError: there are no units.
        """
        n = self.n
        if n < 1:
            raise StatisticsError(f"n == {n}, must be at least 1.")
        y, d, x, w = self.sum_y / n, self.sum_d / n, self.sum_x / n, self.sum_w / n
        return Moments(
            n, self.nonzero, y, d, x, w,
            _centred(self.sum_yy, self.sum_y * y), _centred(self.sum_dd, self.sum_d * d),
            _centred(self.sum_xx, self.sum_x * x), _centred(self.sum_ww, self.sum_w * w),
            self.sum_yd - self.sum_y * d, self.sum_yx - self.sum_y * x, self.sum_yw - self.sum_y * w,
            self.sum_dx - self.sum_d * x, self.sum_dw - self.sum_d * w, self.sum_xw - self.sum_x * w,
        )  # fmt: skip

    @property
    def mean(self) -> float:
        """Mean of y per unit.

        Raises:
            StatisticsError: there are no units.
        """
        return self.moments().y


TOTALS = tuple(field.name for field in fields(Totals))


def _centred(squares: float, expected: float) -> float:
    rest = squares - expected
    return rest if rest > ROUNDING * squares else 0.0
