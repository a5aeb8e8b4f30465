"""Hyper-parameters of SASRec; without torch, so that forms and checks can read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inference.options import Span, bounded


@dataclass(frozen=True, slots=True)
class SasrecParams:
    """Hyper-parameters.

    Attributes:
        width: of items and states.
        blocks: of attention and a hidden layer.
        heads: of each attention; they divide the width.
        history: recent items that are read.
        dropout: on what is read, and on what a block adds.
        negatives: items a step that are scored beside the next ones.
        calibration: t of gBCE in [0, 1]: 0 is plain cross-entropy, 1 undoes the drawing altogether.
        passes: over the units, between `min_steps` and `max_steps`.
        min_steps: few units get more passes.
        max_steps: many units get fewer.
        batch: units a step.
        rate: peak learning rate of AdamW, down on a cosine.
        decay: weight decay.
        dislike: weight of a refused item's loss beside a drawn negative's; 0 ignores them.
    """

    width: int = bounded(64, low=2, high=4096)
    blocks: int = bounded(1, low=1, high=16)
    heads: int = bounded(2, low=1, high=64)
    history: int = bounded(50, low=1, high=1000)
    dropout: float = bounded(0.3, low=0, high=0.95, drawn=Span(0.1, 0.6))
    negatives: int = bounded(128, low=1, high=100_000)
    calibration: float = bounded(0.75, low=0, high=1)
    passes: int = bounded(100, low=1, high=100_000)
    min_steps: int = bounded(400, low=1, high=1_000_000)
    max_steps: int = bounded(20_000, low=1, high=10_000_000)
    batch: int = bounded(64, low=1, high=65_536)
    rate: float = bounded(3e-3, above=0, high=1, drawn=Span(1e-3, 1e-2))
    decay: float = bounded(1e-2, low=0, high=10, drawn=Span(1e-3, 1e-1))
    dislike: float = bounded(10.0, low=0, high=1000)

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if self.width % self.heads:
            raise ValueError(f"heads == {self.heads}, must divide the width, {self.width}.")

    def steps_for(self, units: int) -> int:
        """Return how many steps these units get."""
        return min(self.max_steps, max(self.min_steps, self.passes * math.ceil(units / self.batch)))

    def negative_share(self, items: int) -> float:
        """Return which share of the other items a step draws as negatives."""
        return min(self.negatives, max(items - 1, 1)) / max(items - 1, 1)

    def power(self, share: float) -> float:
        """Return β, the power of the next item's likelihood."""
        return share * (self.calibration * (1 - 1 / share) + 1 / share)
