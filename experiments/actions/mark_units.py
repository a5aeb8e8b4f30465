"""Mark units whose candidates must be computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.analysis.interactions import units_of
from inference.cache import cache_client
from inference.serving.keys import dirty_key

if TYPE_CHECKING:
    from inference.models import Surface


def mark_all_units(*, surface: Surface) -> int:
    """Mark every unit of whom anything is known; return how many."""
    marked = 0
    for units in units_of(surface):
        cache_client().sadd(dirty_key(surface.pk), *units)
        marked += len(units)
    return marked
