"""Group read: all cache reads that wait travel in one pipeline, as all writes do in one commit.

One round trip a request as seen by the request, and one for many as seen by Redis: the client's cost
per pipeline, which is most of a read's, is shared.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from bakeoff.gateway.cache import execute_awake
from inference.serving.keys import MAX_ACTIONS, MAX_RECENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.asyncio import Redis

    from bakeoff.telemetry.spans import Spans

# A pipeline is answered as a whole: a longer one would hold its first request up.
MAX_PER_TRIP = 256


class UnitState(NamedTuple):
    """What the cache knows of a unit; nothing of it when the cache is away.

    Attributes:
        precomputed: candidates under the version that was asked for, int32 bytes, or None.
        recent: item ids that it liked lately, newest first.
        actions: what it did with items, newest first, as `read_actions` reads it.
        rivals: candidates under further versions of one interleaved answer.
    """

    precomputed: bytes | None = None
    recent: tuple[str, ...] = ()
    actions: Sequence[tuple[bytes, float]] = ()
    rivals: tuple[bytes | None, ...] = ()


_UNREAD = UnitState()  # of all units whose read failed
_TRACED = {"db.system.name": "redis", "db.operation.name": "PIPELINE"}


class UnitKeys(NamedTuple):
    """Where the cache holds what a request needs to know of its unit.

    Attributes:
        actions: what it refused and bought.
        candidates: of the version that answers; None where none ranks.
        recent: what it liked lately; None where that is not read.
        other_actions: None where no rule names what is in them.
        rivals: candidates of further versions, of one interleaved answer.
    """

    actions: str
    candidates: str | None = None
    recent: str | None = None
    other_actions: str | None = None
    rivals: tuple[str, ...] = ()


class _Read(NamedTuple):
    keys: UnitKeys
    done: asyncio.Future[UnitState]


class GroupRead:
    """One reader of one process; trips overlap, so a slow one holds nobody else up."""

    def __init__(self, cache: Redis, spans: Spans | None = None) -> None:
        """Remember where to read, and what traces it."""
        self._cache, self._spans = cache, spans
        self._waiting: list[_Read] = []
        self._trips: set[asyncio.Task[None]] = set()

    async def read(self, keys: UnitKeys) -> UnitState:
        """Read what is known of a unit; never raises."""
        if self._spans is None:
            return await self._join_trip(keys)
        with self._spans.client("redis PIPELINE", _TRACED) as span:
            state = await self._join_trip(keys)
            # The request goes on without its history: its trace is where that shows.
            span.set_attribute("bakeoff.cache.answered", state is not _UNREAD)
            return state

    async def _join_trip(self, keys: UnitKeys) -> UnitState:
        done: asyncio.Future[UnitState] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Read(keys, done))
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

    async def _travel(self, batch: list[_Read]) -> None:
        pipe = self._cache.pipeline(transaction=False)
        wanted = [
            key for keys, _ in batch if keys.candidates for key in (keys.candidates, *keys.rivals)
        ]
        if wanted:
            pipe.mget(wanted)
        for keys, _ in batch:
            if keys.recent is not None:
                pipe.lrange(keys.recent, 0, MAX_RECENT - 1)
            for key in filter(None, (keys.actions, keys.other_actions)):
                pipe.zrevrange(key, 0, MAX_ACTIONS - 1, withscores=True)
        try:
            replies = iter(await execute_awake(pipe))
        except (RedisError, OSError):
            _finish(batch, [_UNREAD] * len(batch))
            return
        candidates = iter(next(replies) if wanted else ())
        _finish(batch, [_state_of(keys, candidates, replies) for keys, _ in batch])


def _state_of(keys: UnitKeys, candidates: Iterator[bytes | None], replies: Iterator[Any]) -> UnitState:
    """Take the replies of one read, in the order of its commands."""
    precomputed = next(candidates) if keys.candidates is not None else None
    rivals = tuple(next(candidates) for _ in keys.rivals) if keys.candidates is not None else ()
    recent = next(replies) if keys.recent is not None else ()
    actions = next(replies)
    if keys.other_actions is not None:
        actions = sorted([*actions, *next(replies)], key=lambda member: member[1], reverse=True)
    return UnitState(precomputed, tuple(item.decode() for item in recent), actions, rivals)


def _finish(batch: Sequence[_Read], states: Sequence[UnitState]) -> None:
    for (_, done), state in zip(batch, states, strict=True):
        # A visitor who left has cancelled it.
        if not done.done():
            done.set_result(state)
