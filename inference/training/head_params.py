"""Hyper-parameters of the two towers' heads; without torch, so that forms and checks can read them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from inference.options import Span, bounded

CANDIDATES = 4096  # a step: more do not move the loss, and take longer


@dataclass(frozen=True, slots=True)
class HeadParams:
    """Hyper-parameters.

    Attributes:
        width: of the shared space.
        hidden: of each head's hidden layer.
        history: recent items that the unit tower reads.
        epochs: passes over the units; each pass hides another part of every unit.
        most_steps: passes are cut short of this many steps: many units need fewer passes.
        batch: units a step.
        rate: peak learning rate of AdamW, on a cosine.
        decay: weight decay.
        dropout: on the text vectors.
        own: spread at which an item's own vector starts, around what co-occurrence says.
        cooccurrence: whether items' own vectors start from what units liked together.
        recency: whether the attention learns how old an item is.
        candidates: items a step's softmax runs over; of a catalogue of more they are drawn.
        dislike: weight of a refused item's loss beside a liked one's; 0 ignores them.
        context: whether the declared features of a request's context are read.
        context_dropout: share of a step's units whose context is hidden, so that they do without.
    """

    width: int = bounded(64, low=1, high=4096)
    hidden: int = bounded(256, low=1, high=16_384)
    history: int = bounded(50, low=1, high=1000)
    epochs: int = bounded(30, low=1, high=100_000)
    most_steps: int = bounded(400, low=1, high=1_000_000)
    batch: int = bounded(128, low=1, high=65_536)
    rate: float = bounded(5e-3, above=0, high=1, drawn=Span(1e-3, 2e-2))
    decay: float = bounded(1e-2, low=0, high=10, drawn=Span(1e-3, 1e-1))
    dropout: float = bounded(0.2, low=0, high=0.95, drawn=Span(0.05, 0.5))
    own: float = bounded(0.02, low=0, high=10)
    cooccurrence: bool = True
    recency: bool = True
    candidates: int = bounded(CANDIDATES, low=1, high=1_000_000)
    dislike: float = bounded(0.5, low=0, high=1000)
    context: bool = True
    context_dropout: float = bounded(0.2, low=0, high=1)

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)

    def epochs_for(self, units: int) -> int:
        """Return how many passes these units get: at least two, at most `epochs`."""
        steps = math.ceil(units / self.batch)
        return min(self.epochs, max(2, self.most_steps // steps))
