"""A version's items with those that came after it, each placed among its nearest known ones.

The score of a new item is the weighted mean of its neighbours' scores, whatever the form of the
version; its vector the mean of theirs; and a history that holds one is read as if it held its nearest
neighbour. Places below n are the version's own, so candidates that were precomputed stay true.
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.serving.catalogue import Catalogue
    from inference.serving.ranker import ItemRanker

MAX_NEIGHBOURS = 10


class _Both(Sequence[str]):
    """Two sequences of ids as one: a version's may hold a million, and are not copied."""

    def __init__(self, first: Sequence[str], second: Sequence[str]) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        own = len(self._first)
        return self._first[place] if place < own else self._second[place - own]


class PlacedItems:
    """Ranks a version's n items and p placed ones, as the version does.

    Attributes:
        base: of the version.
        newest: places of the placed items, newest first, int32 (p,).
    """

    is_remote = False

    def __init__(self, base: ItemRanker, rows: Sequence[int], catalogue: Catalogue) -> None:
        """Place items.

        Args:
            base: of the version.
            rows: of the catalogue, of items that the version does not know, each with a neighbour
                that it knows.
            catalogue: of the project.
        """
        items = [catalogue.rows[row] for row in rows]
        self.base, self.digest = base, base.digest
        self._rows: Indices = np.array(rows, dtype=np.int32)
        self._catalogue = catalogue
        since = self._catalogue.visible_since_of(self._rows)
        names = [item.item_id for item in items]
        own = len(base.item_ids)
        self.newest: Indices = (own + np.argsort(-since, kind="stable")).astype(np.int32)
        self.item_ids: Sequence[str] = _Both(base.item_ids, names)
        added = {name: own + place for place, name in enumerate(names)}
        self.index: Mapping[str, int] = ChainMap(added, cast("MutableMapping[str, int]", base.index))
        self.reads_history = base.reads_history
        self._neighbours = np.zeros((len(items), MAX_NEIGHBOURS), dtype=np.int32)
        self._weights = np.zeros((len(items), MAX_NEIGHBOURS), dtype=np.float32)
        for place, item in enumerate(items):
            known = [
                (base.index[name], weight) for name, weight in item.neighbours if name in base.index
            ]
            for column, (neighbour, weight) in enumerate(known[:MAX_NEIGHBOURS]):
                self._neighbours[place, column] = neighbour
                self._weights[place, column] = weight
        self._weights /= self._weights.sum(axis=1, keepdims=True)

    def on(self, base: ItemRanker) -> PlacedItems:
        """Return the same items placed in another ranker of the same version."""
        other = copy.copy(self)
        other.base = base
        return other

    def places(self, item_id: str) -> bool:
        """Whether an item is one of the placed ones."""
        return self.index.get(item_id, -1) >= len(self.base.item_ids)

    def neighbours_of(self, item_id: str) -> Indices:
        """Return the version's items that a placed one is nearest to, nearest first."""
        place = self.index[item_id] - len(self.base.item_ids)
        near: Indices = self._neighbours[place][self._weights[place] > 0]
        return near

    @property
    def default_order(self) -> Indices:
        """The base's: a placed item is liked by nobody yet."""
        return self.base.default_order

    @property
    def catalogue_rows(self) -> Indices | None:
        """The base's; `rows_of` says those of the placed items."""
        return self.base.catalogue_rows

    def visible_since_of(self, items: Indices) -> NDArray[np.float64]:
        """Return since when anybody could see placed items, in seconds since 1970, (m,)."""
        return self._catalogue.visible_since_of(self._rows[items - len(self.base.item_ids)])

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items for a unit with this history, newest first."""
        return self._mean(items, lambda known: self.base.score(known, self._known(recent)))

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the places of the items that are known or placed, in order."""
        return [self.index[item_id] for item_id in item_ids if item_id in self.index]

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d); of width 0 where there are none."""
        return self._mean(items, self.base.vectors_of)

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items, or what it is placed by, changes the version's scores."""
        return self.base.knows(self._known(recent))

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best of the version's items for a unit without precomputed candidates."""
        return self.base.nearline(self._known(recent), limit)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores, (m, h); None for who cannot say."""
        known = self._known(recent)
        if self.base.contributions(items[:0], known) is None:
            return None

        def added(of: Indices) -> Floats:
            lines = self.base.contributions(of, known)
            return np.zeros((len(of), 0), np.float32) if lines is None else lines

        return self._mean(items, added)

    def rows_of(self, items: Indices, base_rows: Indices) -> Indices:
        """Return the rows of items in the catalogue, (m,), -1 for none.

        Args:
            items: places.
            base_rows: of the version's own items, (n,).
        """
        own = len(self.base.item_ids)
        placed = items >= own
        rows = base_rows[np.where(placed, 0, items)]
        rows[placed] = self._rows[items[placed] - own]
        return rows

    def _known(self, recent: Sequence[int]) -> list[int]:
        own = len(self.base.item_ids)
        return [one if one < own else int(self._neighbours[one - own, 0]) for one in recent]

    def _mean(self, items: Indices, of: Callable[[Indices], Floats]) -> Floats:
        """Return values of items: those of the version, and for placed ones the neighbours' mean."""
        own = len(self.base.item_ids)
        placed = items >= own
        if not placed.any():
            return of(items)
        places = items[placed] - own
        neighbours = self._neighbours[places]
        # Each known item once: neighbours are shared, and may be candidates themselves.
        known, inverse = np.unique(
            np.concatenate([items[~placed], neighbours.ravel()]), return_inverse=True
        )
        values = of(known.astype(np.int32))
        result = np.empty((len(items), *values.shape[1:]), dtype=np.float32)
        split = int((~placed).sum())
        result[~placed] = values[inverse[:split]]
        near = values[inverse[split:]].reshape(*neighbours.shape, *values.shape[1:])
        result[placed] = np.einsum("pk,pk...->p...", self._weights[places], near)
        return result


def place_new(base: ItemRanker, catalogue: Catalogue) -> ItemRanker:
    """Return a version's items with those that have neighbours among them.

    Args:
        base: of the version.
        catalogue: of the project.
    """
    rows = [
        row
        for row in catalogue.placed_rows()
        if catalogue.rows[row].item_id not in base.index
        and any(name in base.index for name, _ in catalogue.rows[row].neighbours)
    ]
    return PlacedItems(base, rows, catalogue) if rows else base
