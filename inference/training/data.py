"""What an algorithm learns from: liked items, or labelled texts, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats

# Without a bound, an item that is hardly ever examined where it stood would outweigh all others.
MAX_WEIGHT = 10.0


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        item_ids: n items of the catalogue.
        item_vectors: the encoder's vectors of their texts, float32 (n, e), or None.
        liked: per unit, indices of liked items in order of time.
        liked_at: per unit, when, in seconds; None when nothing is known of time.
        chance: per unit, how likely the item was examined where it stood, in (0, 1]; None for 1.
        item_texts: the texts themselves, for models that read them; None for the others.
        custom_vectors: vectors that the user supplied for items (of an image, say), float32 (n, o),
            zeros where there is none; None when there are none at all.
    """

    item_ids: Sequence[str]
    item_vectors: Floats | None
    liked: Sequence[NDArray[np.int64]]
    liked_at: Sequence[NDArray[np.float64]] | None = None
    chance: Sequence[NDArray[np.float64]] | None = None
    item_texts: Sequence[str] | None = None
    custom_vectors: Floats | None = None

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """How often each item was liked, (n,)."""
        return np.bincount(_joined(self.liked, np.int64), minlength=len(self.item_ids))

    @property
    def age(self) -> NDArray[np.float64]:
        """Seconds between each like and the last one of all, one unit after another."""
        if self.liked_at is None:
            return np.zeros(sum(map(len, self.liked)))
        at: NDArray[np.float64] = _joined(self.liked_at, np.float64)
        return np.asarray(at.max(initial=0.0) - at)

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each like counts: 1 / chance, at most `MAX_WEIGHT`, one unit after another."""
        if self.chance is None:
            return np.ones(sum(map(len, self.liked)))
        return np.minimum(1 / _joined(self.chance, np.float64), MAX_WEIGHT)

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Unit and item of each like, one unit after another."""
        units = np.repeat(np.arange(len(self.liked)), [len(liked) for liked in self.liked])
        return units, _joined(self.liked, np.int64)

    def of_units(self, chosen: NDArray[np.int64]) -> TrainingData:
        """Return the data of some units alone."""

        def part(rows: Sequence[NDArray[Any]] | None) -> list[NDArray[Any]] | None:
            return None if rows is None else [rows[unit] for unit in chosen]

        return replace(
            self,
            liked=part(self.liked) or [],
            liked_at=part(self.liked_at),
            chance=part(self.chance),
        )

    def first(self, counts: Sequence[int]) -> TrainingData:
        """Return the data without what came after each unit's first likes."""

        def cut(rows: Sequence[NDArray[Any]] | None) -> list[NDArray[Any]] | None:
            if rows is None:
                return None
            return [row[:count] for row, count in zip(rows, counts, strict=True)]

        return replace(
            self,
            liked=cut(self.liked) or [],
            liked_at=cut(self.liked_at),
            chance=cut(self.chance),
        )


@dataclass(frozen=True, slots=True)
class LabelledData:
    """What a classifier learns from.

    Attributes:
        texts: n texts.
        features: what else is known of each.
        truth: index of each one's label, (n,).
        labels: the labels, by index.
    """

    texts: Sequence[str]
    features: Sequence[Mapping[str, Any]]
    truth: NDArray[np.int64]
    labels: Sequence[str]

    def rows(self, chosen: NDArray[np.int64]) -> LabelledData:
        """Return some of the rows."""
        return LabelledData(
            [self.texts[i] for i in chosen],
            [self.features[i] for i in chosen],
            self.truth[chosen],
            self.labels,
        )


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.array([], dtype=dtype)
