"""Orders as this process serves them: made of totals in the cache and of the catalogue, all the time.

Guarantees: an order is made beside the event loop, and the one before serves meanwhile; without the
cache, the last totals serve on, and without any, the newest items come first. An item that has just
arrived is in every order within a second; where nobody asked for that long, the next one who does waits
for the order that has it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from redis.exceptions import RedisError

from inference.serving.catalogue_items import CatalogueItems
from inference.serving.keys import totals_key
from inference.serving.order_totals import ABOUT, EVERYWHERE, IN, TotalsAbout, unpack
from inference.serving.ordered_items import OrderedItems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from redis.asyncio import Redis

    from bakeoff.gateway.config.catalogue_watcher import CatalogueWatcher
    from inference.serving.artifact import Floats
    from inference.serving.catalogue import Catalogue
    from inference.serving.orders import LiveOrder

logger = logging.getLogger(__name__)
CHECK_SECONDS = 2.0  # between two questions whether totals were counted anew
ARRIVAL_SECONDS = 0.5  # between two orders that are made for what arrived
# Without a request, after which the next one waits for what is new: lists are to show within two what
# came. Where many ask, the order before serves on while one of a million items is made.
QUIET_SECONDS = 1.0
MAX_WAIT_SECONDS = 1.0  # for it, as long as the cache may be silent; the one before answers then
MAX_ORDERS = 200  # versions times countries that are held; the first is forgotten first
ALL_COUNTRIES, NO_TOTALS = "all_countries", "no_totals"


@dataclass(frozen=True, slots=True)
class _Totals:
    """What was liked lately, as far as this process has read."""

    about: TotalsAbout | None = None
    everywhere: Mapping[str, float] | None = None
    in_country: Mapping[str, float] | None = None

    @property
    def counted_at(self) -> float | None:
        return None if self.about is None else self.about.at


@dataclass(slots=True)
class _Order:
    """An order, of what it was made, when that was checked, and when it was asked for last.

    Times are of a clock that only goes forward.
    """

    ranker: OrderedItems
    totals: _Totals
    catalogue: Catalogue
    arrivals: int
    checked: float
    requested: float

    def note_request(self) -> float:
        """Return for how many seconds nobody had asked for it."""
        before, self.requested = self.requested, time.monotonic()
        return self.requested - before


class LiveOrders:
    """Makes orders; one in a process."""

    def __init__(self, cache: Redis, catalogues: CatalogueWatcher) -> None:
        """Remember where totals and items are."""
        self._cache, self._catalogues = cache, catalogues
        self._orders: dict[tuple[int, str], _Order] = {}
        self._making: dict[tuple[int, str], asyncio.Task[_Order]] = {}

    async def ranker_of(
        self, version_id: int, order: LiveOrder, project: int, country: str | None
    ) -> tuple[OrderedItems, str | None]:
        """Return what ranks by an order now, and why it is not quite what was wanted, if so.

        Args:
            version_id: of the order.
            order: what it goes by.
            project: whose items.
            country: whose likes count; None for all.
        """
        everywhere = await self._current(version_id, order, project, EVERYWHERE)
        if not order.counts:
            return everywhere.ranker, None
        about = everywhere.totals.about
        if about is None:
            return everywhere.ranker, NO_TOTALS
        if country is None:
            return everywhere.ranker, None
        if country not in about.countries:
            return everywhere.ranker, ALL_COUNTRIES
        return (await self._current(version_id, order, project, country)).ranker, None

    async def _current(self, version_id: int, order: LiveOrder, project: int, country: str) -> _Order:
        key = (version_id, country)
        held, catalogue = self._orders.get(key), self._catalogues.of(project)
        quiet = 0.0 if held is None else held.note_request()
        if held is not None and not _is_due(held, order, catalogue):
            return held
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, order, catalogue, held))
            self._making[key] = making
            making.add_done_callback(lambda _: self._making.pop(key, None))
        # A visitor who leaves must not cancel what others wait for.
        if held is None:
            return await asyncio.shield(making)
        if quiet < QUIET_SECONDS:
            return held
        done, _ = await asyncio.wait({making}, timeout=MAX_WAIT_SECONDS)
        return making.result() if done and making.exception() is None else held

    async def _make(
        self, key: tuple[int, str], order: LiveOrder, catalogue: Catalogue, held: _Order | None
    ) -> _Order:
        totals = held.totals if held is not None else _Totals()
        if order.counts and (held is None or time.monotonic() - held.checked >= CHECK_SECONDS):
            totals = await self._read(key, totals)
        arrivals, now = catalogue.arrivals, time.monotonic()
        if (
            held is not None
            and totals is held.totals
            and (held.catalogue is catalogue and held.arrivals == arrivals)
        ):
            held.checked = now
            return held
        ranker = await asyncio.to_thread(order_items, key, catalogue, totals)
        current = _Order(ranker, totals, catalogue, arrivals, checked=now, requested=time.monotonic())
        self._orders.pop(key, None)
        if len(self._orders) >= MAX_ORDERS:
            del self._orders[next(iter(self._orders))]
        self._orders[key] = current
        return current

    async def _read(self, key: tuple[int, str], last: _Totals) -> _Totals:
        """Return the totals that the cache holds; the last ones where they are the same, or none."""
        version_id, country = key
        name = totals_key(version_id)
        try:
            packed: Any = await self._cache.hget(name, ABOUT)
            if packed is None:
                return last
            about = TotalsAbout.parse(packed)
            if about.at == last.counted_at:
                return last
            values: list[Any] = await self._cache.hmget(name, [IN + EVERYWHERE, IN + country])
        except (RedisError, OSError) as error:
            logger.debug("totals of version %s are not read: %s", version_id, error)
            return last
        everywhere, own = await asyncio.to_thread(lambda: [unpack(value) for value in values])
        return _Totals(about, everywhere, None if country == EVERYWHERE else own)


def _is_due(held: _Order, order: LiveOrder, catalogue: Catalogue) -> bool:
    """Whether an order may be another by now."""
    age = time.monotonic() - held.checked
    if held.catalogue is not catalogue or held.arrivals != catalogue.arrivals:
        return age >= ARRIVAL_SECONDS
    return order.counts and age >= CHECK_SECONDS


def order_items(key: tuple[int, str], catalogue: Catalogue, totals: _Totals) -> OrderedItems:
    """Return the items of a catalogue, and what is liked beside them, in their order.

    What is liked as much as another comes before it where it is newer; in a country, first where it is
    liked more everywhere.

    Args:
        key: version and country.
        catalogue: of the project.
        totals: of likes; without any, the newest are first.
    """
    likes: list[Mapping[str, float]] = [
        one for one in (totals.in_country, totals.everywhere) if one is not None
    ]
    # As they are now: more may come while this runs.
    items = CatalogueItems(catalogue, (item for one in likes for item in one))
    count, rows = len(items), items.rows
    dates = np.full(count, -np.inf)
    dates[:rows] = catalogue.dates_of(np.arange(rows, dtype=np.int32))
    columns = [_column(one, items.place_of, count) for one in likes]
    # The last key is the first that counts.
    order = np.lexsort([-dates, *[-column for column in reversed(columns)]]).astype(np.int32)
    places = np.full(count, -1, dtype=np.int32)
    places[:rows] = np.arange(rows, dtype=np.int32)
    return OrderedItems(
        digest=f"order {key}",
        item_ids=items,
        index=items.place_of,
        scores=columns[0].astype(np.float32) if columns else _by_age(dates, rows, catalogue),
        default_order=order,
        catalogue_rows=places,
    )


def _column(
    totals: Mapping[str, float], place_of: Mapping[str, int], count: int
) -> NDArray[np.float64]:
    column = np.zeros(count)
    column[[place_of[item] for item in totals]] = list(totals.values())
    return column


def _by_age(dates: NDArray[np.float64], rows: int, catalogue: Catalogue) -> Floats:
    """Return hours before the newest item that is shown, negative; of what is yet to come positive.

    Seconds since 1970 are too many for 32 bits, and what nobody may see yet moves no other's score.
    """
    scores = np.zeros(len(dates), dtype=np.float32)
    if rows:
        scores[:rows] = (dates[:rows] - catalogue.newest_date(time.time())) / 3600.0
    return scores
