"""Intervals for two versions that answered the same rows.

References:
    T. Tango, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, Statistics in Medicine 17 (1998): the score interval, which keeps its level
    also where both versions agree on every row.
    E. C. Fieller, Some problems in interval estimation, JRSS B 16 (1954): the ratio of two means.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGE = 1 - 1e-9  # the statistic has no variance at a difference of exactly 1


def paired_difference(wins: int, losses: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Tango's interval of (wins − losses) / n.

    Args:
        wins: rows on which the first is right and the second is not; losses the other way round.
        losses: see wins.
        n: rows, at least 1; on the rest of them both are alike.
        alpha: 1 − confidence.
    """
    # A fifth of what a process imports at its start, and few check a version.
    from scipy.optimize import brentq  # noqa: PLC0415
    from scipy.special import ndtri  # noqa: PLC0415  likewise

    z = float(ndtri(1 - alpha / 2))
    estimate = (wins - losses) / n

    def statistic(difference: float) -> float:
        return _score(wins, losses, n, difference)

    low = -1.0 if statistic(-EDGE) < z else brentq(lambda d: statistic(d) - z, -EDGE, estimate)
    high = 1.0 if statistic(EDGE) > -z else brentq(lambda d: statistic(d) + z, estimate, EDGE)
    return float(low), float(high)


def _score(wins: int, losses: int, n: int, difference: float) -> float:
    """Return the score statistic against a difference, its variance at the likeliest proportions."""
    a, b = 2 * n, -wins - losses + (2 * n - wins + losses) * difference
    c = -losses * difference * (1 - difference)
    nuisance = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * nuisance + difference * (1 - difference))
    distance = wins - losses - n * difference
    # Where both agree on every row, no difference at all has no variance and no distance either.
    return distance / math.sqrt(variance) if variance > 0 else 0.0


def paired_ratio(
    first: Sequence[float], second: Sequence[float], *, alpha: float = 0.05
) -> tuple[float, float, float] | None:
    """Return mean(first) / mean(second) with Fieller's interval; None where it has none.

    Args:
        first: of each row, such as cost; second likewise, in the same order.
        second: see first; its mean must be clear of zero.
        alpha: 1 − confidence.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = x.size
    if n < 2 or y.mean() <= 0:
        return None
    from scipy.special import stdtrit  # noqa: PLC0415  slow to import

    t = float(stdtrit(n - 1, 1 - alpha / 2))
    mean_x, mean_y = float(x.mean()), float(y.mean())
    (xx, xy), (_, yy) = np.cov(x, y) / n
    a = mean_y**2 - t * t * yy
    b = mean_x * mean_y - t * t * xy
    c = mean_x**2 - t * t * xx
    if a <= 0:
        return None  # the second mean is not clear of zero
    half = math.sqrt(max(b * b - a * c, 0.0))
    return mean_x / mean_y, (b - half) / a, (b + half) / a
