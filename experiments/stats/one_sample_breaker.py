"""Is something more frequent than it may be? One sequence against a frozen bound, asked at any time.

The capital of bets on a coin: under "the share is at most p0" it is a supermartingale, because for each
alternative p above p0 the likelihood ratio against p0 is one, and a mixture of them too. So the chance
that it ever reaches 1 / α is at most α (Ville's inequality), however often one looks.

Assumptions: the units are independent of each other, each counts once, and the bound was frozen before
the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.stats.special_functions import special
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Odds against the bound's: from a little more to a failure of nearly everything, equally weighted.
ODDS_RATIOS = np.geomspace(1.5, 1e6, 24)


def log_e_share(events: int, units: int, *, bound: float) -> float:
    """Return the log of the evidence that a share is above its bound.

    Args:
        events: units with the event.
        units: all of them.
        bound: the highest share that is accepted, in (0, 1).

    Raises:
        StatisticsError: a count or the bound is out of its range.
    """
    if not 0 < bound < 1:
        raise StatisticsError(f"bound == {bound}, must be in (0, 1).")
    if not 0 <= events <= units:
        raise StatisticsError(f"events == {events}, must be in [0, {units}].")
    return float(log_e_shares(events, units, bound=bound))


def log_e_shares(
    events: NDArray[Any] | int, units: NDArray[Any] | float, *, bound: float
) -> NDArray[Any]:
    """Return the same for many counts at once; −inf where no share is above the bound.

    Args:
        events: units with the event, any shape.
        units: all of them, of a shape that goes with it; at least the events count.
        bound: the highest share that is accepted, above 0.
    """
    happened = np.asarray(events, dtype=float)[..., None]
    others = np.maximum(np.asarray(units, dtype=float)[..., None] - happened, 0.0)
    if bound >= 1:
        return np.full(np.broadcast_shapes(happened.shape, others.shape)[:-1], -np.inf)
    odds = ODDS_RATIOS * bound / (1 - bound)
    share = odds / (1 + odds)
    ratios = happened * np.log(share / bound) + others * (np.log1p(-share) - np.log1p(-bound))
    return np.asarray(special.logsumexp(ratios, axis=-1) - np.log(len(ODDS_RATIOS)))


def highest_share(events: int, units: int, *, margin: float, floor: float) -> float:
    """Return the bound of a share from what was counted before: its upper limit, and the margin.

    Args:
        events: units with the event before.
        units: all of them before.
        margin: how much more is accepted, as a share of it.
        floor: how much more is accepted besides.
    """
    limit = (events + 1) / (units + 2)  # a share of 0 of few units says little
    return min(limit * (1 + margin) + floor, 0.9)
