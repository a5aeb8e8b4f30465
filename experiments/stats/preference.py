"""How often the treatment is preferred, from answers of units that saw both sides.

Reference:
    Wilson, Journal of the American Statistical Association 22 (1927): the score interval. A unit's
    mean answer lies in [0, 1], where no distribution varies more than a coin of the same mean, so the
    interval of as many coins as units covers at least as often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class WinRate:
    """Share of preferences for the treatment.

    Attributes:
        units: how many answered; a unit that answered often is one.
        rate: mean over units, ties as one half; None without any.
        interval: of the confidence asked for; (0, 1) without any unit.
    """

    units: int
    rate: float | None
    interval: tuple[float, float]


def win_rate(unit_means: Sequence[float], *, alpha: float = 0.05) -> WinRate:
    """Return the rate and its Wilson interval.

    Args:
        unit_means: each unit's mean answer in [0, 1]: 1 for the treatment, 1/2 for a tie.
        alpha: 1 − confidence.
    """
    n = len(unit_means)
    if not n:
        return WinRate(0, None, (0.0, 1.0))
    rate = math.fsum(unit_means) / n
    low, high = wilson(rate, n, alpha=alpha)
    return WinRate(n, rate, (low, high))


def wilson(rate: float, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's score interval of a rate among n units; (0, 1) for none."""
    if not n:
        return 0.0, 1.0
    z = float(ndtri(1 - alpha / 2))
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)
