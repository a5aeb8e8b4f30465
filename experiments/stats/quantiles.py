"""Quantiles of one value per unit, from counts in logarithmic buckets.

The sketch is DDSketch's mapping: a value v falls into bucket ⌈log_γ |v|⌉ of its sign, so that a bucket
is narrow in relation to its values (γ = 1.005). Counts merge by addition and, unlike the centroids of a
t-digest or the samples of KLL, are corrected by subtraction when a late event changes a unit's value.

Assumptions: units are independent and give one value each. Two variants are compared by the share of
units below the quantile of both together (`strata.QuantileStratum`), which needs no density, so that
values in steps (latencies in 10 ms, counts, zeros) keep their level.

References:
    Masson, Rim, Lee (2019), DDSketch, VLDB 12. Woodruff (1952), Confidence intervals for medians and
    other position measures, JASA 47 (the standard error).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from experiments.bounds import MAX_COUNT
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

GAMMA = 1.005
LOG_GAMMA = math.log(GAMMA)
MIN_NONZERO = 1e-9  # closer to zero than this is zero
Z95 = 1.96
# Buckets of positive values lie above OFFSET, of negative ones below −OFFSET, zero in between: one
# integer per bucket, in the order of the values.
OFFSET = 100_000


def bucket_of(value: float) -> int:
    """Return the bucket of a value."""
    if abs(value) <= MIN_NONZERO:
        return 0
    index = math.ceil(math.log(abs(value)) / LOG_GAMMA) + OFFSET
    return index if value > 0 else -index


def _edges(bucket: int) -> tuple[float, float]:
    """Return the bounds of a bucket's values, the lower one first."""
    if bucket == 0:
        return 0.0, 0.0
    outer = math.exp((abs(bucket) - OFFSET) * LOG_GAMMA)
    inner = outer / GAMMA
    return (inner, outer) if bucket > 0 else (-outer, -inner)


@dataclass(frozen=True)
class Sketch:
    """Counts of units by the bucket of their value."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Iterable[float]) -> Sketch:
        """Count values."""
        return cls(Counter(bucket_of(value) for value in values))

    def __add__(self, other: Sketch) -> Sketch:
        joined = Counter(self.counts)
        joined.update(other.counts)
        return Sketch(joined)

    @property
    def n(self) -> int:
        """Number of units."""
        return sum(self.counts.values())

    @property
    def nonzero(self) -> int:
        """Number of units whose value is not zero."""
        return self.n - self.counts.get(0, 0)

    def quantile(self, q: float) -> float:
        """Return the value below which a share q of the units lies, interpolated in its bucket.

        Raises:
            StatisticsError: there are no units, or q lies outside [0, 1].
        """
        n = self.n
        if n < 1:
            raise StatisticsError(f"n == {n}, must be at least 1.")
        if not 0 <= q <= 1:
            raise StatisticsError(f"quantile == {q:g}, must be in [0, 1].")
        bucket, share = self._locate(q * n)
        low, high = _edges(bucket)
        return low + (high - low) * share

    def _locate(self, rank: float) -> tuple[int, float]:
        """Return the bucket that a rank falls into, and how far through its units."""
        below, bucket = 0, 0
        for bucket in sorted(bucket for bucket, count in self.counts.items() if count > 0):
            count = self.counts[bucket]
            if below + count >= rank:
                return bucket, (rank - below) / count
            below += count
        return bucket, 1.0

    def buckets(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return lower ends, upper ends and units of the buckets that hold any, each of shape (k,).

        Zero has a width of its own, so that a distribution never jumps.
        """
        used = np.array(sorted(bucket for bucket, count in self.counts.items() if count > 0))
        outer = np.exp((np.abs(used) - OFFSET) * LOG_GAMMA)
        low = np.where(used > 0, outer / GAMMA, np.where(used < 0, -outer, -MIN_NONZERO))
        high = np.where(used > 0, outer, np.where(used < 0, -outer / GAMMA, MIN_NONZERO))
        counts = np.array([self.counts[bucket] for bucket in used.tolist()], dtype=np.float64)
        return low, high, counts

    def require_units(self, q: float) -> None:
        """Refuse a quantile that has too few units on one side of it.

        Raises:
            StatisticsError: fewer than about four are expected there.
        """
        step = Z95 * math.sqrt(q * (1 - q) / self.n) if self.n else 1.0
        if q - step <= 0 or q + step >= 1:
            # As a float: of a quantile of 1e-320 it is infinite, and no number of units is enough.
            required = Z95 * Z95 * max(q / (1 - q), (1 - q) / q)
            shown = f"{math.ceil(required)}" if required < MAX_COUNT else f"{required:g}"
            raise StatisticsError(
                f"units == {self.n}, must be more than {shown} for the interval of the quantile {q:g}."
            )

    def standard_error(self, q: float) -> float:
        """Return the standard error of a quantile by Woodruff's interval, for display.

        With δ = √(q (1 − q) / n), the order statistics at q ± 1.96 δ bound the quantile; a normal
        interval of that width has the standard error (Q(q + 1.96 δ) − Q(q − 1.96 δ)) / (2 · 1.96).
        Where many units share the quantile's value it is next to nothing, and says nothing.
        """
        step = Z95 * math.sqrt(q * (1 - q) / self.n)
        return (self.quantile(min(q + step, 1.0)) - self.quantile(max(q - step, 0.0))) / (2 * Z95)
