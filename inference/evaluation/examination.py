"""How likely a position is looked at, estimated from the swaps that exploration makes.

Position-based model (Craswell et al. 2008): an item is clicked when it is examined and liked,
P(click) = θ(position) · γ. The draw of a slate moves items away from the position that their rank would
give them, at random; among items of one rank, what they are liked is the same on average wherever they
were put. So clicks ~ Poisson(shown · γ(rank) · θ(position)), fitted by iterative scaling (intervention
harvesting, Agarwal et al. 2019). Without swaps θ cannot be told from γ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SWAPS = 500  # fewer, and θ is noise that would reweigh every like
ROUNDS = 200  # of iterative scaling
MIN_CHANCE = 0.05  # below it an estimate is noise that divides


def examination_by_position(
    shown: NDArray[np.float64], clicked: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return θ of each position, the first one's 1, in [`MIN_CHANCE`, 1].

    Args:
        shown: how often an item of a rank stood at a position, (ranks, positions).
        clicked: how often it was clicked there, the same shape.

    Returns:
        θ (positions,), never rising with the position; None when fewer than `MIN_SWAPS` items stood
        elsewhere than at their rank, or nothing was clicked.
    """
    positions = shown.shape[1]
    swaps = shown.sum() - sum(shown[k, k] for k in range(min(shown.shape)))
    if swaps < MIN_SWAPS or not clicked.sum():
        return None
    theta = np.ones(positions)
    for _ in range(ROUNDS):
        liked = clicked.sum(1) / np.maximum((shown * theta).sum(1), 1e-9)
        theta = clicked.sum(0) / np.maximum((shown * liked[:, None]).sum(0), 1e-9)
        theta /= max(theta[0], 1e-9)
    # Nobody looks at the end of a list more than at its head: what says so is noise.
    return np.clip(np.minimum.accumulate(np.minimum(theta, 1.0)), MIN_CHANCE, 1.0)
