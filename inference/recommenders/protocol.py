"""What a recommender must do: learn from liked items and export to a form that serving knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.options import FitOptions
    from inference.serving.artifact import ArtifactDraft, Floats, Indices


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


MAX_WEIGHT = 10.0


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.array([], dtype=dtype)


class Recommender(Protocol):
    """One way to learn.

    Attributes:
        name: how commands and versions call it.
        reads: what it needs of the items besides their ids: some of "vectors" and "texts".
        seeds: how many seeds the gate asks for; 1 for what has no randomness.
    """

    name: str
    reads: frozenset[str]
    seeds: int

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Learn and return what is to be exported.

        Raises:
            ValueError: the data or a hyper-parameter does not allow it.
        """
        ...


def default_order(popularity: NDArray[Any], limit: int = 1000) -> Indices:
    """Return the most liked items, for a unit of whom nothing is known."""
    return np.argsort(-popularity, kind="stable")[:limit].astype(np.int32)


def nearest_by_text(data: TrainingData, limit: int = 20) -> tuple[Indices, Indices, Floats] | None:
    """Return for each cold item the warm items whose texts are nearest.

    A cold item is one that nobody liked yet: behaviour says nothing of it, its text may.

    Returns:
        The cold items (c,), their nearest warm ones (c, m), and cosines (c, m), negative ones cut to
        0; None without vectors, or when every item is warm or none is.
    """
    warm = np.flatnonzero(data.popularity > 0)
    cold = np.flatnonzero(data.popularity == 0)
    if data.item_vectors is None or not len(warm) or not len(cold):
        return None
    unit = data.item_vectors / np.maximum(
        np.linalg.norm(data.item_vectors, axis=1, keepdims=True), 1e-9
    )
    limit = min(limit, len(warm))
    nearest = np.empty((len(cold), limit), dtype=np.int32)
    cosines = np.empty((len(cold), limit), dtype=np.float32)
    for start in range(0, len(cold), 1024):
        some = cold[start : start + 1024]
        close = unit[some] @ unit[warm].T
        top = np.argpartition(-close, limit - 1, axis=1)[:, :limit]
        nearest[start : start + len(some)] = warm[top]
        cosines[start : start + len(some)] = np.maximum(np.take_along_axis(close, top, axis=1), 0)
    return cold.astype(np.int32), nearest, cosines
