"""The draw of a slate: a Plackett-Luce distribution over ranks.

Weights depend on the rank alone, r^(−1/τ), so the exploration is the same in every variant whatever
the scale of its scores. Everything that may not be shown is filtered before the draw; nothing is
removed after it, or the propensities would lie.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

    from inference.serving.artifact import Floats

POOL = 50  # the draw is over the best 50, or five slates' worth when that is more


@cache
def _log_weights(pool: int, temperature: float) -> Floats:
    return (-np.log(np.arange(1, pool + 1)) / temperature).astype(np.float32)


def draw_slate(count: int, k: int, *, temperature: float, rng: Generator) -> list[tuple[int, float]]:
    """Draw k of `count` ranked candidates.

    Args:
        count: how many candidates there are, best first.
        k: slots.
        temperature: τ ≥ 0; 0 takes the ranking as it is.
        rng: source of the draw.

    Returns:
        Per slot: the rank drawn (from 0) and its propensity given the slots before it.
    """
    k = min(k, count)
    if temperature <= 0:
        return [(rank, 1.0) for rank in range(k)]
    pool = min(count, max(POOL, 5 * k))
    log_weights = _log_weights(pool, temperature)
    # The k largest of log-weight + Gumbel noise are a Plackett-Luce draw without replacement.
    noisy = log_weights + rng.gumbel(size=pool)
    top = np.argpartition(-noisy, k - 1)[:k] if k < pool else np.arange(pool)
    order = top[np.argsort(-noisy[top])].tolist()
    weights = np.exp(log_weights)
    slots = []
    for rank in order:
        # Summed anew each time: subtracting would lose the small weights in the large ones.
        slots.append((rank, float(weights[rank] / weights.sum())))
        weights[rank] = 0.0
    return slots
