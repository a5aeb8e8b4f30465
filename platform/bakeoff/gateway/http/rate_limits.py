"""How much a key, an address, a unit and a project may send: token buckets.

Guarantees: a request is judged without waiting for anybody; one that is refused takes from no bucket,
so nobody empties a shared one with what is refused; what several processes admit together is above a
rate by at most what they admit between two exchanges. Each process has its own buckets, and those that
are used much are exchanged with Redis twice a second. Does not guarantee a common rate while Redis is
away: then each process counts by itself. Secret keys are counted by key and project alone: they are
servers, which speak for many.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.supervision import WorkStatus

# What several processes admit beyond a rate grows with this; so does the load on Redis as it falls.
EXCHANGE_SECONDS = 0.5
MAX_BUCKETS = 100_000
MUCH = 20  # a bucket is exchanged once this part of it was taken
KEY, ADDRESS, UNIT, PROJECT = "key", "address", "unit", "project"
# Takes what a process has admitted out of the common bucket, and returns what is left in it.
_TAKE = """local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local capacity, taken = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(kept[1]) or capacity
tokens = math.min(capacity, tokens + math.max(0, now - (tonumber(kept[2]) or now)) * capacity / 60)
tokens = math.min(capacity, math.max(tokens - taken, -capacity))
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('EXPIRE', KEYS[1], 180)
return tostring(tokens)"""

Name = tuple[str, str]


@dataclass(slots=True)
class _Bucket:
    """Tokens of one key, address, unit or project.

    Attributes:
        capacity: what a minute refills.
        tokens: what is left.
        at: when that was so.
        taken: what was taken since the last exchange, less what was given back.
    """

    capacity: float
    tokens: float
    at: float
    taken: float = 0.0

    def refill(self, now: float) -> None:
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.capacity / 60)
        self.at = now


class Rates:
    """The buckets of one process."""

    def __init__(self, per_minute: Mapping[str, int], cache: redis.asyncio.Redis) -> None:
        """Start with full buckets.

        Args:
            per_minute: by `KEY`, `ADDRESS`, `UNIT` and `PROJECT`; 0: no limit.
            cache: through which processes exchange what they admitted.
        """
        self._per_minute, self._cache = per_minute, cache
        self._buckets: OrderedDict[Name, _Bucket] = OrderedDict()
        self._much: set[Name] = set()

    def take(self, counts: Mapping[Name, int]) -> None:
        """Take tokens of all buckets, or of none.

        Args:
            counts: of rows, or 1 for a request; by kind (`KEY`, `ADDRESS`, `UNIT` or `PROJECT`) and
                name of a bucket.

        Raises:
            ApiError: 429, with when to come back.
        """
        limited = self._limited(counts)
        for (kind, _), bucket, count in limited:
            # A request that is larger than a whole bucket needs a full one, or it would never pass.
            needed = min(count, bucket.capacity)
            if bucket.tokens < needed:
                wait = (needed - bucket.tokens) * 60 / bucket.capacity
                raise ApiError(
                    429,
                    "rate_limited",
                    f"this {kind} sends more than {bucket.capacity:.0f} a minute, must wait.",
                    retry_after=max(1, math.ceil(wait)),
                )
        for name, bucket, count in limited:
            self._subtract(name, bucket, count)

    def give_back(self, counts: Mapping[Name, int]) -> None:
        """Put back what a request took that another bucket then refused."""
        for name, bucket, count in self._limited(counts):
            self._subtract(name, bucket, -count)

    def _subtract(self, name: Name, bucket: _Bucket, count: int) -> None:
        # May go below zero: a batch larger than the bucket is paid for by waiting longer afterwards.
        bucket.tokens = min(bucket.capacity, bucket.tokens - count)
        bucket.taken += count
        if abs(bucket.taken) * MUCH >= bucket.capacity:
            self._much.add(name)

    def _limited(self, counts: Mapping[Name, int]) -> list[tuple[Name, _Bucket, int]]:
        # A rate of 0 is no limit, and a batch of one row was counted with its request.
        return [
            (name, self._bucket(name, capacity), count)
            for name, count in counts.items()
            if count and (capacity := self._per_minute.get(name[0], 0))
        ]

    def _bucket(self, name: Name, capacity: int) -> _Bucket:
        now = time.monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(capacity, capacity, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
            bucket.refill(now)
        return bucket

    async def run(self, status: WorkStatus) -> None:
        """Exchange with the other processes, again and again."""
        while True:
            await asyncio.sleep(EXCHANGE_SECONDS)
            status.beat()
            await self.exchange()

    async def exchange(self) -> None:
        """Tell what was taken from buckets that are used much, and learn what is left in them."""
        names = [name for name in self._much if name in self._buckets]
        self._much.clear()
        if not names:
            return
        pipe = self._cache.pipeline(transaction=False)
        reported = []
        for name in names:
            bucket = self._buckets[name]
            reported.append(bucket.taken)
            key = f"rate:{name[0]}:{name[1]}"
            pipe.eval(_TAKE, 1, key, str(bucket.capacity), str(bucket.taken))
        try:
            left = await pipe.execute()
        except (redis.exceptions.RedisError, OSError):
            return  # each process goes on by itself
        for name, taken, tokens in zip(names, reported, left, strict=True):
            if (after := self._buckets.get(name)) is not None:
                after.taken -= taken  # more may have been taken meanwhile
                after.tokens = min(after.tokens, float(tokens) - after.taken)
