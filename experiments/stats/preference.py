"""How often the treatment is preferred, from answers of units that saw both sides.

A tie is no half of a win: it says nothing about which side is better, and is reported beside. The rate,
its interval and its p-value are those of the units that decided, and one test.

References:
    Dixon & Mood (1946), The statistical sign test, JASA 41. Clopper & Pearson (1934), Biometrika 26.
    Wilson (1927), JASA 22: the score interval of other rates. Robbins (1970), Annals of Mathematical
    Statistics 41: the mixture that may be looked at after every unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.stats.special_functions import special

if TYPE_CHECKING:
    from collections.abc import Sequence

TIE = 0.5
NEAR = 1e-9  # a mean of answers is a tie in spite of its last digits
CONCENTRATION = 20.0  # of the mixture over the rate: tightest where wins are some 60 % of a few hundred


@dataclass(frozen=True, slots=True)
class WinRate:
    """Share of the deciding units that prefer the treatment.

    Attributes:
        units: how many answered; a unit that answered often is one.
        wins: of them those that prefer the treatment more often than not.
        losses: those that prefer the control.
        ties: those that prefer neither; they are in no rate.
        rate: wins / (wins + losses); None where nobody decided.
        interval: Clopper and Pearson's; (0, 1) where nobody decided.
        p_value: of the two-sided sign test; 1 where nobody decided. It is at most alpha exactly where
            the interval excludes one half.
    """

    units: int
    wins: int
    losses: int
    ties: int
    rate: float | None
    interval: tuple[float, float]
    p_value: float


def win_rate(unit_means: Sequence[float], *, alpha: float = 0.05) -> WinRate:
    """Return the rate with its exact interval and test.

    Assumption: units are independent. Each counts once, as a win, a loss or a tie.

    Args:
        unit_means: each unit's mean answer in [0, 1]: 1 for the treatment, 1/2 for a tie.
        alpha: 1 − confidence.
    """
    wins = sum(mean > TIE + NEAR for mean in unit_means)
    losses = sum(mean < TIE - NEAR for mean in unit_means)
    decided = wins + losses
    return WinRate(
        units=len(unit_means),
        wins=wins,
        losses=losses,
        ties=len(unit_means) - decided,
        rate=wins / decided if decided else None,
        interval=clopper_pearson(wins, decided, alpha=alpha),
        p_value=min(2 * float(special.bdtr(min(wins, losses), decided, 0.5)), 1.0) if decided else 1.0,
    )


def log_e_sign(wins: int, losses: int, *, concentration: float = CONCENTRATION) -> float:
    """Return ln of the beta-binomial mixture against a rate of one half: valid whenever it is asked.

    Its mixture is Beta(c, c), so both sides have half of it. Ties are no bets.

    Args:
        wins: units that prefer the treatment.
        losses: units that prefer the control.
        concentration: c.
    """
    both = wins + losses
    mixed = special.betaln(concentration + wins, concentration + losses)
    return float(mixed - special.betaln(concentration, concentration)) + both * math.log(2)


def clopper_pearson(wins: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return the exact interval of a share: what neither one-sided test at alpha / 2 rejects."""
    low = float(special.betaincinv(wins, n - wins + 1, alpha / 2)) if wins else 0.0
    high = float(special.betaincinv(wins + 1, n - wins, 1 - alpha / 2)) if wins < n else 1.0
    return low, high


def wilson(rate: float, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return Wilson's score interval of a rate among n units; (0, 1) for none."""
    if not n:
        return 0.0, 1.0
    z = float(special.ndtri(1 - alpha / 2))
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)
