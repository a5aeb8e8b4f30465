"""A version's ranker in the context of one request: the same items, scored for that context.

A scorer that reads context adds to each item's score what the context says of it, whatever the unit's
history. So the ladder, the rules and the draw need not know of it: they get another ranker.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.context_features import words_of
from inference.serving.placed_items import PlacedItems
from inference.serving.ranker import Ranker
from inference.serving.scorers import DENSE_ITEMS
from inference.serving.top_items import best_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker


class ContextRanker:
    """Ranks as a version does in one context.

    Attributes:
        base: the version's.
        words: of the context, by feature.
    """

    is_remote = False
    catalogue_rows: Indices | None = None

    def __init__(self, base: Ranker, words: Mapping[str, str]) -> None:
        """Bind a context."""
        self.base, self.words = base, words
        self.digest, self.item_ids, self.index = base.digest, base.item_ids, base.index
        self.reads_history = base.reads_history

    @property
    def is_small(self) -> bool:
        """Whether a request can score every item, and needs no candidates that were made before it."""
        return len(self.item_ids) <= DENSE_ITEMS

    @cached_property
    def default_order(self) -> Indices:
        """What the context alone says, best first; of a large catalogue the version's own order."""
        if not self.is_small:
            return self.base.default_order
        return best_items(self._all([]), len(self.base.default_order))

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:
        """Return the scores (m,) of items for a unit with this history, newest first."""
        added = self.base.context_scores(items, self.words)
        scores: Floats = self.base.score(items, recent) + added
        return scores

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the indices of the items that the version knows, in order."""
        return self.base.indices_of(item_ids)

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d)."""
        return self.base.vectors_of(items)

    def knows(self, recent: Sequence[int]) -> bool:
        """Whether any of these items changes the version's scores."""
        return self.base.knows(recent)

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:
        """Return the best items for a unit in this context."""
        if not self.is_small:
            return self.base.nearline(recent, limit)
        return best_items(self._all(recent), limit)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return what each recent item adds to the scores of items, (m, h), or None."""
        return self.base.contributions(items, recent)

    def _all(self, recent: Sequence[int]) -> Floats:
        return self.score(np.arange(len(self.item_ids), dtype=np.int32), recent)


def in_context(ranker: ItemRanker, context: Mapping[str, Any], at: float) -> ItemRanker:
    """Return a ranker in a request's context; the same where its version reads none.

    Args:
        ranker: of a version, or of one with the items that came after it.
        context: what the product says of the request.
        at: when it came, in seconds since 1970.
    """
    if isinstance(ranker, PlacedItems):
        base = in_context(ranker.base, context, at)
        return ranker if base is ranker.base else ranker.on(base)
    if isinstance(ranker, Ranker) and ranker.features:
        return ContextRanker(ranker, words_of(ranker.features, context, at))
    return ranker


def reads_context(ranker: ItemRanker | None) -> bool:
    """Whether a ranker is one in a context, of so few items that each request ranks them all."""
    if isinstance(ranker, PlacedItems):
        return reads_context(ranker.base)
    return isinstance(ranker, ContextRanker) and ranker.is_small
