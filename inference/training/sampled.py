"""Candidates of a sampled softmax: a step costs the same whatever the catalogue holds.

Where item i is drawn with probability πᵢ and has the score sᵢ, the sum over the drawn of
exp(sᵢ − log πᵢ) has the softmax's denominator as its mean (Bengio & Senécal 2008; as logQ correction:
Yi et al. 2019). Items are drawn by their popularity to the power ¾, which draws what is confused most,
most often. A catalogue of no more items than a step draws is taken whole: the softmax is a full one.

An item that nobody liked is no candidate. Nothing could ever be learnt of it but that it is wrong, so
its text and its images would be taken for signs of what nobody likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.training.head_params import CANDIDATES

if TYPE_CHECKING:
    from numpy.typing import NDArray

POWER = 0.75


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one step's softmax runs over.

    Attributes:
        items: indices, increasing, (c,).
        log_chance: log πᵢ, to be subtracted from each score, float32 (c,).
        drawn: whether it was drawn; else it is there as some unit's target alone, and no candidate for
            another, (c,).
    """

    items: NDArray[np.int64]
    log_chance: NDArray[np.float32]
    drawn: NDArray[np.bool_]

    def places(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where items, all of them among these, stand."""
        return np.searchsorted(self.items, items)

    def barred_but(self, targets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which candidates are none for units with one target each, (b, c)."""
        barred = np.tile(~self.drawn, (len(targets), 1))
        barred[np.arange(len(targets)), self.places(targets)] = False
        return barred


class CandidateSampler:
    """Draws candidates by popularity."""

    def __init__(self, popularity: NDArray[Any], count: int = CANDIDATES) -> None:
        """Prepare the draw.

        Args:
            popularity: how often each item was liked, (n,).
            count: draws a step.
        """
        self.is_full = len(popularity) <= count
        self._items, self._count = len(popularity), count
        self._warm = np.asarray(popularity > 0)
        chances = (popularity + 1.0) ** POWER
        chances /= chances.sum()
        self._upper_ends = np.cumsum(chances)
        # Of being among the draws, which are with replacement.
        self._log_chance = np.log(-np.expm1(count * np.log1p(-chances))).astype(np.float32)

    def draw(self, rng: np.random.Generator, targets: NDArray[np.int64]) -> Candidates:
        """Return one step's candidates; the targets are always among them."""
        if self.is_full:
            every = np.arange(self._items)
            return Candidates(every, np.zeros(len(every), np.float32), self._warm.copy())
        draws = np.searchsorted(self._upper_ends, rng.random(self._count) * self._upper_ends[-1])
        drawn = np.unique(draws)
        drawn = drawn[self._warm[drawn]]
        items = np.union1d(drawn, targets)
        return Candidates(items, self._log_chance[items], np.isin(items, drawn))


def settle_cold_biases(bias: NDArray[Any], popularity: NDArray[np.int64]) -> None:
    """Give an item that nobody liked the bias of the least liked tenth: nothing has moved its own.

    Args:
        bias: of each item, (n,), changed in place.
        popularity: how often each was liked, (n,).
    """
    known = np.flatnonzero(popularity > 0)
    if len(known) < len(popularity):
        few = known[np.argsort(popularity[known], kind="stable")[: max(1, len(known) // 10)]]
        bias[popularity == 0] = bias[few].mean()
