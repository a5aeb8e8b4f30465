"""Items in an order that no artifact holds: by shared labels, by what happened lately, by arrival."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from inference.serving.artifact import Floats, Indices
    from inference.serving.ranker import ItemRanker


@dataclass(frozen=True, slots=True)
class OrderedItems:
    """Ranks items alike for every unit.

    Attributes:
        digest: names the items.
        item_ids: n of them.
        index: the place of each, by its id.
        scores: float32 (n,).
        default_order: all of them, best first, int32 (n,).
        vectors: returns vectors of some, (m, d).
        catalogue_rows: the row of each item in its project's catalogue, -1 for none; None where it is
            to be found.
    """

    digest: str
    item_ids: Sequence[str]
    index: Mapping[str, int]
    scores: Floats
    default_order: Indices
    vectors: Callable[[Indices], Floats] | None = None
    catalogue_rows: Indices | None = None
    reads_history: bool = False
    is_remote: bool = False

    @classmethod
    def of(cls, ranker: ItemRanker, scores: Floats) -> OrderedItems:
        """Return a version's items by these scores, equals in their default order.

        Args:
            ranker: of the version.
            scores: float32 (n,).
        """
        # A version's default order may stop after its first thousand.
        every = np.arange(len(ranker.item_ids), dtype=np.int32)
        rest = np.setdiff1d(every, ranker.default_order, assume_unique=True)
        order = np.concatenate([ranker.default_order, rest]).astype(np.int32)
        return cls(
            digest=ranker.digest,
            item_ids=ranker.item_ids,
            index=ranker.index,
            scores=scores,
            default_order=order[np.argsort(-scores[order], kind="stable")],
            vectors=ranker.vectors_of,
            catalogue_rows=ranker.catalogue_rows,
        )

    def score(self, items: Indices, recent: Sequence[int]) -> Floats:  # noqa: ARG002  alike for all
        """Return the scores of items, (m,)."""
        return self.scores[items]

    def indices_of(self, item_ids: Iterable[str]) -> list[int]:
        """Return the places of the items that are known, in order."""
        return [self.index[item_id] for item_id in item_ids if item_id in self.index]

    def vectors_of(self, items: Indices) -> Floats:
        """Return vectors of items, (m, d); of width 0 where there are none."""
        return np.zeros((len(items), 0), np.float32) if self.vectors is None else self.vectors(items)

    def contributions(self, items: Indices, recent: Sequence[int]) -> Floats | None:
        """Return None: no recent item counts."""

    def knows(self, recent: Sequence[int]) -> bool:  # noqa: ARG002  alike for all
        """Say no: no recent item counts."""
        return False

    def nearline(self, recent: Sequence[int], limit: int) -> Indices:  # noqa: ARG002  alike for all
        """Return the best items."""
        return self.default_order[:limit]
