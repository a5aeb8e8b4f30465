"""What a recommender must do: learn from liked items and export to the one serving form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.serving.artifact import Draft, Floats, Indices


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        item_ids: n items of the catalogue.
        item_vectors: the encoder's vectors of their texts, float32 (n, e), or None.
        liked: per unit, indices of liked items in order of time.
    """

    item_ids: Sequence[str]
    item_vectors: Floats | None
    liked: Sequence[NDArray[np.int64]]

    @property
    def popularity(self) -> NDArray[np.int64]:
        """How often each item was liked, (n,)."""
        every = np.concatenate(self.liked) if len(self.liked) else np.array([], dtype=np.int64)
        return np.bincount(every, minlength=len(self.item_ids))


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit.

    Attributes:
        seed: of everything random.
        params: hyper-parameters that differ from the recommender's defaults.
        report: told the share done and a line about it.
        checkpoint: folder for resuming, or None.
        device: "auto", "cpu" or "cuda".
    """

    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[float, str], None] = lambda _share, _line: None
    checkpoint: Path | None = None
    device: str = "auto"


class Recommender(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        needs_vectors: whether it reads the items' text vectors.
        seeds: how many seeds the gate asks for; 1 for what has no randomness.
    """

    name: str
    needs_vectors: bool
    seeds: int

    def fit(self, data: TrainingData, options: FitOptions) -> Draft:
        """Learn and return what is to be exported."""
        ...


def default_order(popularity: NDArray[np.int64], most: int = 1000) -> Indices:
    """Return the most liked items, for a unit of whom nothing is known."""
    return np.argsort(-popularity, kind="stable")[:most].astype(np.int32)


def no_history(width: int) -> dict[str, Floats]:
    """Return attention and recency of a model that weighs recent items alike."""
    return {
        "attention": np.zeros(width, dtype=np.float32),
        "recency": np.zeros(50, dtype=np.float32),
    }
