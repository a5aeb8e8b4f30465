"""Items that came after a version, placed in it: held per version, made anew when more were placed.

Guarantees: many are placed beside the event loop, and the ones before serve meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.slate_rules.rules import NEW_DAYS, NEW_SHARE, SlateRules
from inference.serving.placed_items import PlacedItems, place_new
from inference.serving.slate_request import NewCandidates

if TYPE_CHECKING:
    from inference.serving.catalogue import Catalogue
    from inference.serving.ranker import ItemRanker

MAX_AT_ONCE = 1000  # placements that are read within a request: some milliseconds
MAX_VERSIONS = 64  # versions that are held; the first is forgotten first
MAX_JOINING = 200  # placed items that join a list of candidates: the newest
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class _Held:
    ranker: ItemRanker
    catalogue: Catalogue
    placements: int


class NewItemPlaces:
    """Places new items; one in a process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._held: dict[str, _Held] = {}
        self._making: dict[str, asyncio.Task[ItemRanker]] = {}

    async def find_ranker(self, ranker: ItemRanker, catalogue: Catalogue) -> ItemRanker:
        """Return a version's items, with those that came after it, and find all of them there."""
        if not catalogue.has_places_of(ranker):
            # A large version's first request waits some seconds for it; others are answered meanwhile.
            await asyncio.to_thread(catalogue.places_of, ranker)
        return self.ranker_of(ranker, catalogue)

    def ranker_of(self, ranker: ItemRanker, catalogue: Catalogue) -> ItemRanker:
        """Return a version's items, with those that came after it."""
        placements = catalogue.placements
        # Nearly every request: every item is known, or nothing is.
        if not placements or ranker.is_remote:
            return ranker
        held = self._held.get(ranker.digest)
        if held is not None and held.catalogue is not catalogue:
            held = None  # of a database that was restored, or of another project with the same version
        if held is not None and held.placements == placements:
            return held.ranker
        if placements <= MAX_AT_ONCE:
            return self._place(ranker, catalogue, placements)
        if ranker.digest not in self._making:
            making = asyncio.ensure_future(
                asyncio.to_thread(self._place, ranker, catalogue, placements)
            )
            self._making[ranker.digest] = making
            making.add_done_callback(lambda _: self._making.pop(ranker.digest, None))
        return ranker if held is None else held.ranker

    def _place(self, ranker: ItemRanker, catalogue: Catalogue, placements: int) -> ItemRanker:
        # Read before the rows are: what comes meanwhile makes the next request place again.
        placed = place_new(ranker, catalogue)
        if len(self._held) >= MAX_VERSIONS:
            self._held.pop(next(iter(self._held)), None)
        self._held[ranker.digest] = _Held(placed, catalogue, placements)
        return placed


def new_candidates(
    ranker: ItemRanker | None, rules: SlateRules, *, exploration: float, share: float | None = None
) -> NewCandidates | None:
    """Return what of a ranker's items came after the version, and which share of slots is theirs.

    Args:
        ranker: of the request.
        rules: of the request and its surface.
        exploration: of the surface.
        share: of the slots, whatever the rules say; None where they say it.
    """
    if not isinstance(ranker, PlacedItems):
        return None
    newest = ranker.newest[:MAX_JOINING]
    share = rules.new_item_share if share is None else share
    if share is None:
        share = NEW_SHARE if exploration > 0 else 0.0
    days = NEW_DAYS if rules.new_item_days is None else rules.new_item_days
    # By when visitors could first see it: an old article that was loaded today is new to them, and
    # what nobody could see yet has had no chance to be liked.
    ages = time.time() - ranker.visible_since_of(newest)
    return NewCandidates(newest, newest[ages < days * DAY], share)
