"""The draw of a slate: a Plackett-Luce distribution over ranks.

Weights depend on the rank alone, r^(−1/τ), so the exploration is the same in every variant whatever
the scale of its scores. Everything that may not be shown is filtered before the draw; nothing is
removed after it, or the propensities would lie.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from inference.serving.artifact import Floats

    Ranks = NDArray[np.intp]

POOL = 50  # the draw is over the best 50, or five slates' worth when that is more


@cache
def _log_weights(pool: int, temperature: float) -> Floats:
    return (-np.log(np.arange(1, pool + 1)) / temperature).astype(np.float32)


@cache
def _pairs(slots: int) -> tuple[Ranks, Ranks]:
    """Return each slot with each one before it, as two arrays."""
    return np.tril_indices(slots, -1)


@cache
def _chances(pool: int, temperature: float) -> tuple[list[float], list[float]]:
    """Return the chance of each rank in a draw of one, and the sums of the first ones."""
    weights = np.exp(_log_weights(pool, temperature))
    chances = weights / weights.sum()
    return chances.tolist(), np.cumsum(chances).tolist()


def draw_one(count: int, k: int, *, temperature: float, rng: Generator) -> tuple[int, float]:
    """Draw one of `count` ranked candidates as the first of k slots; return its rank and chance.

    Args:
        count: how many candidates there are, at least 1.
        k: slots of the slate.
        temperature: τ > 0.
        rng: source of the draw.
    """
    pool = min(count, pool_of(k))
    chances, sums = _chances(pool, temperature)
    rank = min(bisect_right(sums, rng.random() * sums[-1]), pool - 1)
    return rank, chances[rank]


def draw_slate(
    count: int, k: int, *, temperature: float, rng: Generator | None
) -> list[tuple[int, float]]:
    """Draw k of `count` ranked candidates.

    Args:
        count: how many candidates there are, best first.
        k: slots.
        temperature: τ ≥ 0; 0 takes the ranking as it is.
        rng: source of the draw; None at τ = 0.

    Returns:
        Per slot: the rank drawn (from 0) and its propensity given the slots before it.
    """
    k = min(k, count)
    if temperature <= 0 or rng is None:
        return [(rank, 1.0) for rank in range(k)]
    pool = min(count, pool_of(k))
    log_weights = _log_weights(pool, temperature)
    # The k largest of log-weight + Gumbel noise are a Plackett-Luce draw without replacement.
    noisy = log_weights + rng.gumbel(size=pool)
    ranks = (-noisy).argsort()[:k]
    chances = _chances_in_order(ranks, log_weights)
    return list(zip(ranks.tolist(), chances.tolist(), strict=True))


def pool_of(k: int) -> int:
    """Return among how many of the best candidates k slots are drawn."""
    return max(POOL, 5 * k)


def propensities_of(
    ranks: Sequence[int | None], count: int, k: int, *, temperature: float
) -> list[float]:
    """Return the chance of each slot given the slots before it.

    Args:
        ranks: of what stands in each slot (from 0); None for what is no candidate.
        count: how many candidates there are.
        k: slots.
        temperature: τ > 0.

    Returns:
        Per slot; 0 for what the draw could not have put there.
    """
    pool = min(count, pool_of(k))
    possible = np.array([rank for rank in ranks if rank is not None and rank < pool], dtype=np.intp)
    chances = iter(_chances_in_order(possible, _log_weights(pool, temperature)).tolist())
    return [0.0 if rank is None or rank >= pool else next(chances) for rank in ranks]


def _chances_in_order(ranks: Ranks, log_weights: Floats) -> Floats:
    """Return the chance of each slot's rank given those of the slots before it, (k,).

    Args:
        ranks: by slot, (k,), below m.
        log_weights: of the ranks, (m,).
    """
    slots = len(ranks)
    left = log_weights[None].repeat(slots, axis=0)
    slot, before = _pairs(slots)
    left[slot, ranks[before]] = -np.inf
    # By the best that is left: at a low temperature all others' weights may be too small for a float.
    left -= left.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(left)
    # Summed anew for each slot: subtracting would lose the small weights in the large ones.
    chances: Floats = weights[np.arange(slots), ranks] / weights.sum(axis=1)
    return chances
