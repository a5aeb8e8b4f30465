"""Which items a request may show: one question that every rung of the fallback ladder asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.serving.catalogue import NO_ITEMS, Catalogue
from inference.serving.placed_items import PlacedItems

if TYPE_CHECKING:
    from inference.serving.artifact import Indices
    from inference.serving.catalogue import Mask
    from inference.serving.ranker import ItemRanker


class Eligible(NamedTuple):
    """What may be shown to a request.

    Attributes:
        catalogue: the project's items.
        mask: per row of the catalogue, (n,).
        is_filtered: whether the request or a rule asks for some items alone. What the catalogue does
            not hold may be shown otherwise: a project need not have loaded one.
    """

    catalogue: Catalogue
    mask: Mask
    is_filtered: bool = False

    def has(self, item_id: str) -> bool:
        """Whether one item may be shown."""
        row = self.catalogue.find(item_id)
        return not self.is_filtered if row is None else row < len(self.mask) and bool(self.mask[row])

    def knows(self, item_id: str) -> bool:
        """Whether the catalogue holds an item, or held it; an empty one knows nothing of any."""
        return not len(self.catalogue) or self.catalogue.find(item_id) is not None

    def keep(self, ranker: ItemRanker, items: Indices) -> Indices:
        """Return those of a version's items that may be shown, in their order."""
        # Nearly every project without a catalogue: nothing to look up.
        if not len(self.mask) and not self.is_filtered:
            return items
        shown: Indices = items[self._of(ranker, items)]
        return shown

    def all_of(self, ranker: ItemRanker) -> Indices:
        """Return every item of a version that may be shown, best first where its order has all."""
        order = ranker.default_order
        if len(order) < len(ranker.item_ids):
            order = np.arange(len(ranker.item_ids), dtype=np.int32)
        return self.keep(ranker, order)

    def rows_of(self, ranker: ItemRanker, items: Indices) -> Indices:
        """Return the rows of a version's items in the catalogue, (m,), -1 for none."""
        if isinstance(ranker, PlacedItems):
            return ranker.rows_of(items, self.catalogue.places_of(ranker.base))
        return self.catalogue.places_of(ranker)[items]

    def _of(self, ranker: ItemRanker, items: Indices) -> Mask:
        rows = self.rows_of(ranker, items)
        # A row that came after the mask was made is no row of it.
        known = (rows >= 0) & (rows < len(self.mask))
        if known.all():  # as nearly always: the lists of a version are of the catalogue's items
            return self.mask[rows]
        shown = np.full(len(items), not self.is_filtered)
        shown[rows >= 0] = False
        shown[known] = self.mask[rows[known]]
        return shown


EVERYTHING = Eligible(NO_ITEMS, NO_ITEMS.shown())
