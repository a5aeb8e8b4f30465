"""Group read: all cache reads that wait travel in one pipeline, as all writes do in one commit.

One round trip a request as seen by the request, and one for many as seen by Redis: the client's cost
per pipeline, which is most of a read's, is shared.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

# A pipeline is answered as a whole: a longer one would hold its first request up.
MAX_PER_TRIP = 256


@dataclass(frozen=True, slots=True)
class UnitState:
    """What the cache knows of a unit; nothing of it when the cache is away.

    Attributes:
        precomputed: candidates under the version that was asked for, int32 bytes, or None.
        recent: item ids that it liked lately, newest first.
    """

    precomputed: bytes | None = None
    recent: tuple[str, ...] = ()


NOTHING = UnitState()


class GroupRead:
    """One reader of one process; trips overlap, so a slow one holds nobody else up."""

    def __init__(self, cache: Redis) -> None:
        """Remember where to read."""
        self._cache = cache
        self._waiting: list[tuple[str, str, int, asyncio.Future[UnitState]]] = []
        self._trips: set[asyncio.Task[None]] = set()

    async def read(self, candidates: str, recent: str, limit: int) -> UnitState:
        """Read a unit's candidates and its newest `limit` items; never raises."""
        done: asyncio.Future[UnitState] = asyncio.get_running_loop().create_future()
        self._waiting.append((candidates, recent, limit, done))
        # The first of a trip sends it off; those that come before it leaves travel with it.
        if len(self._waiting) == 1:
            # Runs after every request that is ready now has put its read beside this one.
            asyncio.get_running_loop().call_soon(self._depart)
        return await done

    def _depart(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_PER_TRIP], self._waiting[MAX_PER_TRIP:]
            trip = asyncio.create_task(self._travel(batch))
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)

    async def _travel(self, batch: list[tuple[str, str, int, asyncio.Future[UnitState]]]) -> None:
        pipe = self._cache.pipeline(transaction=False)
        pipe.mget([candidates for candidates, _, _, _ in batch])
        for _, recent, limit, _ in batch:
            pipe.lrange(recent, 0, limit - 1)
        try:
            values, *lists = await pipe.execute()
        except (RedisError, OSError):
            values, lists = [None] * len(batch), [[]] * len(batch)
        for (_, _, _, done), precomputed, recent in zip(batch, values, lists, strict=True):
            # A visitor who left has cancelled it.
            if not done.done():
                done.set_result(UnitState(precomputed, tuple(item.decode() for item in recent)))
