"""One item of a catalogue, as serving holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NEVER, ALWAYS = math.inf, -math.inf  # as times: later than any, earlier than any


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """One item.

    Attributes:
        item_id: its name in the product.
        exists: false once it was deleted.
        available: whether it may be shown.
        published_at: not shown before, in seconds since 1970; -inf for no such time.
        expires_at: not shown from then on; inf for no such time.
        fields: what it says of itself: title, url, image_url, price, labels, group_id.
        properties: what its owner says of it besides.
        created_at: when it came to the catalogue, in seconds since 1970.
        neighbours: the items that it resembles, nearest first, each with its weight: by them it is
            placed in a version that does not know it.
        change: number of the change that wrote it last.
    """

    item_id: str
    exists: bool = True
    available: bool = True
    published_at: float = ALWAYS
    expires_at: float = NEVER
    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    neighbours: tuple[tuple[str, float], ...] = ()
    change: int = 0

    @property
    def dated(self) -> float:
        """When it was published or, where it does not say so, when it came; in seconds since 1970."""
        return self.created_at if self.published_at == ALWAYS else self.published_at
