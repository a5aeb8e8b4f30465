"""Choose an action: the policy's shares, a floor for each action, and the control's share.

Guarantee: the propensity of the action that is returned is the exact chance with which it was drawn,
also where a policy's shares come from draws of its own; that of the default action is never below
`control_share`, so inverse propensities of the control are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.serving.rank_settings import RankSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """An action that was drawn.

    Attributes:
        index: of the action.
        propensity: with which it was drawn.
        default_propensity: that the default action had.
        best: index of the action that has the largest share of the policy.
    """

    index: int
    propensity: float
    default_propensity: float
    best: int


def choose(
    shares: NDArray[np.float64], default: int, settings: RankSettings, rng: np.random.Generator
) -> Choice:
    """Draw an action.

    Args:
        shares: what the policy would give to each of n actions; they sum to 1.
        default: index of the action that the product would take without the platform.
        settings: how much is explored, and the control's share.
        rng: of the process.
    """
    chances = chances_of(shares, default, settings)
    # The last edge is 1 but for rounding: a draw beyond it belongs to the last action.
    index = min(int(chances.cumsum().searchsorted(rng.random(), side="right")), len(chances) - 1)
    return Choice(index, float(chances[index]), float(chances[default]), int(shares.argmax()))


def chances_of(
    shares: NDArray[np.float64], default: int, settings: RankSettings
) -> NDArray[np.float64]:
    """Return each action's chance of being served, (n,)."""
    chances = (1 - settings.control_share - settings.explore) * shares
    chances = chances + settings.explore / len(shares)
    chances[default] += settings.control_share
    return chances


def only(index: int, count: int) -> NDArray[np.float64]:
    """Return the shares of a policy that always takes one action."""
    shares = np.zeros(count)
    shares[index] = 1.0
    return shares
