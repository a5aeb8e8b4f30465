"""What is like an item by behaviour, fused with the items whose texts and images are nearest to it.

The two lists are joined by reciprocal rank fusion (Cormack, Clarke & Buettcher 2009): the score of an
item is the sum of weight / (`RANK_OFFSET` + rank) over the lists that have it. A version that has
learnt nothing of the item has no list: its scores would tie in an order that is the same for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker

RANK_OFFSET = 60.0  # of the paper: how much more a first place counts than a later one


class FusedRanker:
    """Ranks what is like an item as a version does, and the items with the nearest texts beside it.

    Attributes:
        base: the version's.
        near: items, nearest first.
        weight: of these beside the version's list.
    """

    is_remote = False
    catalogue_rows: Indices | None = None

    def __init__(self, base: ItemRanker, near: Indices, weight: float) -> None:
        """Bind the nearest items of the one that is asked for."""
        self.base, self.near, self.weight = base, near, weight
        self.digest, self.item_ids, self.index = base.digest, base.item_ids, base.index
        self.reads_history = base.reads_history

    @property
    def default_order(self) -> Indices:
        """The version's."""
        return self.base.default_order

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items, by their ranks among these in both lists."""
        scores = np.zeros(len(items), dtype=np.float64)
        if self.base.knows(recent):
            order = np.argsort(-self.base.score(items, recent), kind="stable")
            scores[order] = 1 / (RANK_OFFSET + np.arange(1, len(items) + 1))
        among = np.flatnonzero(np.isin(items, self.near))
        place = {item: rank for rank, item in enumerate(self.near.tolist())}
        nearest = among[np.argsort([place[item] for item in items[among].tolist()], kind="stable")]
        scores[nearest] += self.weight / (RANK_OFFSET + np.arange(1, len(nearest) + 1))
        return scores.astype(np.float32)

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that the version knows, in order."""
        return self.base.indices_of(item_ids)

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d)."""
        return self.base.vectors_of(items)

    def knows(self, recent: Sequence[int]) -> bool:  # noqa: ARG002  of one item alone
        """Say yes: the nearest items are its own."""
        return True

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items of both lists."""
        listed = self.base.nearline(recent, limit)
        both = np.concatenate([listed, self.near[~np.isin(self.near, listed)]]).astype(np.int32)
        best: Indices = both[np.argsort(-self.score(both, recent), kind="stable")[:limit]]
        return best

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the version's own scores, (m, h), or None."""
        return self.base.contributions(items, recent)
