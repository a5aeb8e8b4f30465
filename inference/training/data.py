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
MAX_IMPORTANCE = 100.0


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        item_ids: n items of the catalogue.
        item_vectors: the encoder's vectors of their texts, float32 (n, e), or None.
        liked: per unit, indices of liked items in order of time.
        liked_at: per unit, when, in seconds; None when nothing is known of time.
        chance: per unit, how likely the item was examined where it stood, in (0, 1]; None for 1.
        importance: per unit, what each like counts by its event, above 0; None for 1.
        disliked: per unit, indices of items that it refused; None for none.
        features: of the context of likes.
        words: per unit, the word of each feature in the context of each like, (likes, features), empty
            where nothing is known; None without features.
        item_texts: the texts themselves, for models that read them; None for the others.
        custom_vectors: vectors that the user supplied for items (of an image, say), float32 (n, o),
            zeros where there is none; None when there are none at all.
        image_vectors: of the items' images, centred and of length 1, float32 (n, i), zeros where there
            is none; None when there are none at all.
        other_texts: of the project beside its items', for models that learn its words.
        without_text: whether an item says nothing but its id, which its vector is of, (n,); None: none.
        published_at: from when on each item can be shown, in seconds, (n,); None: all, always.
        expires_at: until when, likewise.
    """

    item_ids: Sequence[str]
    item_vectors: Floats | None
    liked: Sequence[NDArray[np.int64]]
    liked_at: Sequence[NDArray[np.float64]] | None = None
    chance: Sequence[NDArray[np.float64]] | None = None
    item_texts: Sequence[str] | None = None
    custom_vectors: Floats | None = None
    importance: Sequence[NDArray[np.float64]] | None = None
    disliked: Sequence[NDArray[np.int64]] | None = None
    image_vectors: Floats | None = None
    other_texts: Sequence[str] = ()
    features: Sequence[str] = ()
    words: Sequence[NDArray[np.str_]] | None = None
    without_text: NDArray[np.bool_] | None = None
    published_at: NDArray[np.float64] | None = None
    expires_at: NDArray[np.float64] | None = None

    @property
    def sides(self) -> list[Floats]:
        """What is known of items beside behaviour: vectors of texts, of the user's own, of images."""
        sides = (self.item_vectors, self.custom_vectors, self.image_vectors)
        return [side for side in sides if side is not None]

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
    def event_weights(self) -> NDArray[np.float64]:
        """What each like counts by its event, one unit after another; 1 on average.

        So hyper-parameters mean the same whatever unit weights are written in. None counts more than
        `MAX_IMPORTANCE`: one order of a million must not drown all others.
        """
        if self.importance is None:
            return np.ones(sum(map(len, self.liked)))
        weights: NDArray[np.float64] = _joined(self.importance, np.float64)
        return np.minimum(weights / max(float(weights.mean()), 1e-12), MAX_IMPORTANCE)

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each like counts: by its event, and by 1 / chance, that at most `MAX_WEIGHT`."""
        if self.chance is None:
            return self.event_weights
        return self.event_weights * np.minimum(1 / _joined(self.chance, np.float64), MAX_WEIGHT)

    @property
    def refused_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Unit and item of each dislike, one unit after another."""
        rows = self.disliked or [np.zeros(0, np.int64)] * len(self.liked)
        units = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        return units, _joined(rows, np.int64)

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Unit and item of each like, one unit after another."""
        units = np.repeat(np.arange(len(self.liked)), [len(liked) for liked in self.liked])
        return units, _joined(self.liked, np.int64)

    def signed_likes(self, dislike: float, like: NDArray[np.float64] | None = None) -> Any:
        """Return units × items as a sparse matrix, float32 (u, n).

        Args:
            dislike: a dislike is minus this; 0 leaves dislikes out.
            like: what each like is, one unit after another; None for 1. Of an item that a unit liked
                twice the larger counts: it is one like.
        """
        from scipy import sparse  # noqa: PLC0415  slow to import

        units, items = self.pairs
        shape = (len(self.liked), len(self.item_ids))
        values = np.ones(len(items)) if like is None else like
        # Ascending, so that of equal places the largest is written last, and stays.
        order = np.argsort(values, kind="stable")
        places = units[order] * shape[1] + items[order]
        liked, last = np.unique(places[::-1], return_index=True)
        values = values[order][::-1][last]
        refused_units, refused = self.refused_pairs if dislike else (units[:0], items[:0])
        refused_places = np.setdiff1d(refused_units * shape[1] + refused, liked)
        rows, columns = np.divmod(np.concatenate([liked, refused_places]), shape[1])
        entries = np.concatenate([values, np.full(len(refused_places), -dislike)])
        return sparse.csr_matrix((entries.astype(np.float32), (rows, columns)), shape)

    def of_units(self, chosen: NDArray[np.int64]) -> TrainingData:
        """Return the data of some units alone."""

        def part(rows: Sequence[NDArray[Any]] | None) -> list[NDArray[Any]] | None:
            return None if rows is None else [rows[unit] for unit in chosen]

        return replace(
            self,
            liked=part(self.liked) or [],
            liked_at=part(self.liked_at),
            chance=part(self.chance),
            importance=part(self.importance),
            disliked=part(self.disliked),
            words=part(self.words),
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
            importance=cut(self.importance),
            words=cut(self.words),
        )


@dataclass(frozen=True, slots=True)
class LabelledData:
    """What a classifier learns from.

    Attributes:
        texts: n texts.
        features: what else is known of each.
        truth: index of each one's label, (n,).
        labels: the labels, by index.
        users: index of each one's user, (n,): what no user said is one of its own; None: all are.
        image_encoder: SHA-256 of what made the images' vectors among the features; empty for none.
    """

    texts: Sequence[str]
    features: Sequence[Mapping[str, Any]]
    truth: NDArray[np.int64]
    labels: Sequence[str]
    users: NDArray[np.int64] | None = None
    image_encoder: str = ""

    def rows(self, chosen: NDArray[np.int64]) -> LabelledData:
        """Return some of the rows."""
        return LabelledData(
            [self.texts[i] for i in chosen],
            [self.features[i] for i in chosen],
            self.truth[chosen],
            self.labels,
            None if self.users is None else self.users[chosen],
            self.image_encoder,
        )

    def part(self, share: float, seed: int) -> LabelledData:
        """Return a share of the rows, at random, with one of every label: none may be unknown."""
        order = np.random.default_rng(seed).permutation(len(self.truth))
        first = np.unique(self.truth[order], return_index=True)[1]
        order = np.concatenate([order[first], np.delete(order, first)])
        return self.rows(np.sort(order[: max(len(first), round(share * len(order)))]))


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.array([], dtype=dtype)
