"""A project's items as a web process holds them: what may be shown, and what answers say of it.

One thread applies changes, the event loop reads. A row never moves and never goes away, so a place in
the arrays stays true while changes come in; a reader that meets half of a change sees some items as
they were and others as they are, which is what two requests would have seen.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from inference.serving.catalogue_row import ALWAYS, NEVER, CatalogueRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Indices
    from inference.serving.ranker import ItemRanker
    from inference.serving.stored_catalogue import StoredCatalogue, StoredRows

    Mask = NDArray[np.bool_]

# What an item says of itself beside its properties, as filters and answers name it.
STANDARD_FIELDS = ("title", "url", "image_url", "price", "labels", "group_id")
# Its times that filters compare.
TIME_FIELDS = ("published_at", "expires_at")
MAX_VERSIONS = 32  # whose items' rows are remembered: champions and variants of a project
MAX_TOUCHED = 100_000  # changes that are remembered; who has seen fewer starts anew
MAX_LOOKED_UP = 20_000  # rows of which a version's items are found at once: some 20 ms
_FIRST_CAPACITY = 256


class Catalogue:
    """The items of one project.

    Attributes:
        change: number of the last change that is in it.
        rows: by row, the item as it was written last.
        stored: the rows on the disk that it began with; None where all are in memory.
        arrivals: counts the changes of which items there are and of what date.
    """

    def __init__(self, stored: StoredCatalogue | None = None) -> None:
        """Begin without items, or with those that are stored."""
        self.stored = stored
        self.change = 0
        self.rows: list[CatalogueRow] | StoredRows = []
        self._row_of: dict[str, int] = {}  # of what is not stored
        self._switched_on = np.zeros(_FIRST_CAPACITY, dtype=bool)
        self._from = np.full(_FIRST_CAPACITY, ALWAYS)
        self._until = np.full(_FIRST_CAPACITY, NEVER)
        self._came = np.zeros(_FIRST_CAPACITY)
        self.arrivals = self._existing = 0
        self._shown: Mask = np.zeros(0, dtype=bool)
        self._shown_until = ALWAYS
        self._places: dict[str, _Places] = {}
        # Rows in the order of their changes, and how many came before those: one value, so that a
        # reader in the other thread never sees the one without the other.
        self._log: tuple[list[int], int] = ([], 0)
        # How many items have each property; a name that none has any more stays with 0: a filter may
        # ask for what is sold out when nothing is, and a reader in another thread never meets a
        # dictionary that shrinks.
        self._items_with: dict[str, int] = {}
        # Rows whose neighbours were written, in their order; only added to, as two threads use it.
        self._placements: list[int] = []
        if stored is not None:
            self._begin_with(stored)

    def _begin_with(self, stored: StoredCatalogue) -> None:
        count = len(stored)
        self.change, self.rows = stored.change, stored.rows()
        self._grow(count)
        self._switched_on[:count] = stored.exists & stored.available
        self._from[:count] = stored.times["published_at"]
        self._until[:count] = stored.times["expires_at"]
        self._came[:count] = stored.times["created_at"]
        self._items_with.update(stored.property_counts)
        self._placements.extend(stored.placed.tolist())
        self._log = ([], count)  # as if each row had changed once, and nobody had seen it
        self.arrivals, self._existing = count, int(stored.exists.sum())

    def __len__(self) -> int:
        """How many rows there are, those of deleted items included."""
        return len(self.rows)

    def apply(self, rows: Iterable[CatalogueRow], change: int) -> None:
        """Take over changed items; called by one thread."""
        for row in rows:
            place = self.find(row.item_id)
            if place is None:
                place = len(self.rows)
                self._grow(place + 1)
            before = self.rows[place] if place < len(self.rows) else None
            self._existing += row.exists - (before is not None and before.exists)
            self._switched_on[place] = row.exists and row.available
            self._from[place], self._until[place] = row.published_at, row.expires_at
            self._count_properties(before, row)  # before the row is there: it reads those counted
            arrived = before is None or before.dated != row.dated
            self._came[place] = row.created_at
            placed = row.neighbours != (before.neighbours if before is not None else ())
            if place == len(self.rows):
                self.rows.append(row)
                # Last: whoever finds the name finds the row.
                self._row_of[row.item_id] = place
            else:
                self.rows[place] = row
            self.arrivals += arrived  # after the row is there
            if placed:
                self._placements.append(place)
            self._log[0].append(place)
        touched, forgotten = self._log
        if len(touched) > 2 * MAX_TOUCHED:
            self._log = (touched[-MAX_TOUCHED:], forgotten + len(touched) - MAX_TOUCHED)
        self.change = change
        self._shown_until = ALWAYS  # the next request asks anew

    def _grow(self, count: int) -> None:
        if count > len(self._switched_on):
            # Doubled, so that a million items are copied twenty times.
            more = max(len(self._switched_on), count - len(self._switched_on))
            self._switched_on = np.concatenate([self._switched_on, np.zeros(more, dtype=bool)])
            self._from = np.concatenate([self._from, np.full(more, ALWAYS)])
            self._until = np.concatenate([self._until, np.full(more, NEVER)])
            self._came = np.concatenate([self._came, np.zeros(more)])

    def _count_properties(self, before: CatalogueRow | None, row: CatalogueRow) -> None:
        for name in row.properties:
            self._items_with[name] = self._items_with.get(name, 0) + row.exists
        if before is not None and before.exists:
            for name in before.properties:
                self._items_with[name] -= 1

    def remember_properties(self, names: Iterable[str]) -> None:
        """Know properties that no item may have any more, or that saved rules name."""
        for name in names:
            self._items_with.setdefault(name, 0)

    @property
    def placements(self) -> int:
        """How often neighbours of an item were written."""
        return len(self._placements)

    def placed_rows(self) -> list[int]:
        """Return the rows of the items that have neighbours."""
        rows = dict.fromkeys(self._placements[:])  # as they are now: more may come meanwhile
        return [row for row in rows if self.rows[row].exists and self.rows[row].neighbours]

    def dates_of(self, rows: Indices) -> NDArray[np.float64]:
        """Return when items were published or, without such a time, when they came, (m,).

        By these an item is as old as its owner says, whenever it was loaded.
        """
        published = self._from[rows]
        dates: NDArray[np.float64] = np.where(published == ALWAYS, self._came[rows], published)
        return dates

    def newest_date(self, now: float) -> float:
        """Return the latest of the dates of what may be shown at a time; that time without any."""
        count = len(self.rows)
        shown = self._switched_on[:count] & (self._from[:count] <= now) & (self._until[:count] > now)
        dates = self.dates_of(np.flatnonzero(shown).astype(np.int32))
        return float(dates.max(initial=ALWAYS)) if len(dates) else now

    def visible_since_of(self, rows: Indices) -> NDArray[np.float64]:
        """Return since when anybody could see items here, (m,): published, and in the catalogue."""
        since: NDArray[np.float64] = np.maximum(self._from[rows], self._came[rows])
        return since

    def times(self, name: str, count: int) -> NDArray[np.float64]:
        """Return a time of the first rows in seconds since 1970, (count,); NaN where there is none.

        Args:
            name: one of `TIME_FIELDS`.
            count: of rows.
        """
        times = (self._from if name == "published_at" else self._until)[:count]
        return np.where(np.isfinite(times), times, np.nan)

    def shown(self, now: float | None = None) -> Mask:
        """Return per row whether the item may be shown now, (n,)."""
        now = time.time() if now is None else now
        if now >= self._shown_until or len(self._shown) != len(self.rows):
            self._compute_shown(now)
        return self._shown

    def _compute_shown(self, now: float) -> None:
        count = len(self.rows)
        # Before anything is read: a change that comes meanwhile makes the next request compute again.
        self._shown_until = NEVER
        starts, ends = self._from[:count], self._until[:count]
        shown = self._switched_on[:count] & (starts <= now) & (ends > now)
        ahead = min(
            float(starts[starts > now].min(initial=NEVER)), float(ends[ends > now].min(initial=NEVER))
        )
        self._shown = shown
        self._shown_until = min(self._shown_until, ahead)

    def touched_since(self, seen: int) -> tuple[Sequence[int], int]:
        """Return the rows that changed after so many changes, and how many there were by now."""
        touched, forgotten = self._log
        total = forgotten + len(touched)
        if seen < forgotten:
            return range(len(self.rows)), total
        return touched[seen - forgotten :], total

    def find(self, item_id: str) -> int | None:
        """Return the row of an item, or None when the catalogue has never held it."""
        row = self._row_of.get(item_id)
        if row is None and self.stored is not None:
            row = self.stored.table.place_of.get(item_id)
        return row

    def rows_named(self, item_ids: Iterable[str]) -> Indices:
        """Return the rows of items, int32 (n,); -1 for what the catalogue has never held."""
        rows = map(self.find, item_ids)
        return np.array([-1 if row is None else row for row in rows], dtype=np.int32)

    @property
    def property_names(self) -> set[str]:
        """Every property that an item has."""
        return {name for name, count in self._items_with.copy().items() if count}

    def has_property(self, name: str) -> bool:
        """Whether any item has a property, or has had it."""
        return name in STANDARD_FIELDS or name in self._items_with

    def count_existing(self) -> int:
        """Return how many items there are, without those that were deleted."""
        return self._existing

    def item_id(self, row: int) -> str:
        """Return the id of a row's item."""
        if self.stored is not None and row < len(self.stored):
            return self.stored.table[row]
        return self.rows[row].item_id

    def has_places_of(self, ranker: ItemRanker) -> bool:
        """Whether `places_of` has nearly nothing left to look up: a million items take seconds."""
        if ranker.catalogue_rows is not None:
            return True
        places = self._places.get(ranker.digest)
        seen = places.rows_seen if places is not None else 0
        return len(self.rows) - seen <= MAX_LOOKED_UP

    def places_of(self, ranker: ItemRanker) -> Indices:
        """Return for each item of a version its row, int32 (n,); -1 for what is no item here."""
        if ranker.catalogue_rows is not None:
            return ranker.catalogue_rows
        places = self._places.get(ranker.digest)
        if places is None:
            if len(self._places) >= MAX_VERSIONS:  # the one that was asked for first is retired first
                del self._places[next(iter(self._places))]
            places = self._places[ranker.digest] = _Places(len(ranker.item_ids))
        places.update(self, ranker)
        return places.rows


class _Places:
    """Where a version's items are in the catalogue: the rows that came since are looked up there."""

    def __init__(self, items: int) -> None:
        self.rows: Indices = np.full(items, -1, dtype=np.int32)
        self.rows_seen = 0
        # The event loop asks, and threads that find candidates of a large version.
        self._one_at_a_time = threading.Lock()

    def update(self, catalogue: Catalogue, ranker: ItemRanker) -> None:
        count = len(catalogue.rows)
        if self.rows_seen == count:
            return
        with self._one_at_a_time:
            for row in range(self.rows_seen, count):
                index = ranker.index.get(catalogue.item_id(row))
                if index is not None:
                    self.rows[index] = row
            self.rows_seen = max(self.rows_seen, count)


NO_ITEMS = Catalogue()
