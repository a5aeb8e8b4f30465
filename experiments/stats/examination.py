"""How likely a place is looked at: the examination curve, estimated from swaps of the team draft.

Where the teams of a round want different items, a coin decides which of these items stands where: each
is as often in every place of the round. So whatever the items are worth, their clicks divide between
the places as examination does, e(p) / Σ e over the round's places. The curve is e(r) = r^−η; η is the
penalised maximum of that likelihood.

Assumptions: a click needs that the place is looked at and that the item pleases, and the two do not
depend on each other (position-based model). A wrong curve shifts the size of a preference and costs
users; where there is none, the coins keep scores symmetric under any curve.

Reference:
    Agarwal, Zaitsev, Wang, Li, Najork, Joachims (2019), Estimating position bias without intrusive
    interventions, WSDM: intervention harvesting. Wang et al. (2018), WSDM: e(r) = r^−η.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRIOR_DECAY, PRIOR_SD = 0.7, 0.5  # of η, until the platform's own swaps say more
MAX_DECAY = 3.0
STEPS = 30  # of Newton's method, which needs fewer than ten

# A round's places, from 1, and the clicks on each of them.
Swaps = "Mapping[tuple[int, ...], Sequence[int]]"


def examination(rank: int, decay: float) -> float:
    """Return how likely a rank is looked at, relative to the first; 0 for what is not ranked."""
    return rank**-decay if rank > 0 else 0.0


def fit_decay(swaps: Mapping[tuple[int, ...], Sequence[int]]) -> float:
    """Return η of the curve r^−η.

    Args:
        swaps: clicks by place, of the rounds whose places a coin has dealt out, by those places.

    Raises:
        StatisticsError: a round's clicks are not one count per place.
    """
    for places, clicks in swaps.items():
        if len(places) != len(clicks) or min(clicks, default=0) < 0 or min(places, default=1) < 1:
            raise StatisticsError(f"clicks == {list(clicks)}, must be one count per place of {places}.")
    decay = PRIOR_DECAY
    for _ in range(STEPS):
        slope, curvature = _derivatives(swaps, decay)
        step = slope / curvature
        decay = min(max(decay - step, 0.0), MAX_DECAY)
        if abs(step) < 1e-10:
            break
    return decay


def _derivatives(swaps: Mapping[tuple[int, ...], Sequence[int]], decay: float) -> tuple[float, float]:
    """Return both derivatives of the penalised log-likelihood; the second is negative."""
    slope = -(decay - PRIOR_DECAY) / PRIOR_SD**2
    curvature = -1 / PRIOR_SD**2
    for places, clicks in swaps.items():
        logs = [math.log(place) for place in places]
        weights = [examination(place, decay) for place in places]
        total = sum(weights)
        mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / total
        square = sum(w * x * x for w, x in zip(weights, logs, strict=True)) / total
        slope += sum(n * (mean - x) for n, x in zip(clicks, logs, strict=True))
        curvature -= sum(clicks) * (square - mean * mean)
    return slope, curvature
