"""Take back what may have been spilled though its sender was told that nothing was kept.

A Redis that is frozen, or whose answer is lost, may still run the command that it was sent: the
sender repeats its request, and without this an event without an id of its own would count twice.
Does not guarantee it when the process ends before Redis answers again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import redis.asyncio
import redis.exceptions

from experiments.ingest.spill import take_back

if TYPE_CHECKING:
    from inference.supervision import WorkStatus

T = TypeVar("T")
# Beyond it an entry may count twice: better than a process that grows while Redis is frozen.
MAX_DOUBTFUL = 10_000
IDLE_SECONDS = 1.0
RETRY_SECONDS = 0.25


class SpillDoubts:
    """Entries of the spill whose senders were told that nothing was kept, though it may have been."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where they may be."""
        self._cache = cache
        self._tokens: asyncio.Queue[str] = asyncio.Queue(MAX_DOUBTFUL)

    def add(self, token: str) -> None:
        """Note an entry's token; an empty one stands for no doubt."""
        if token and not self._tokens.full():
            self._tokens.put_nowait(token)

    async def run(self, status: WorkStatus) -> None:
        """Take them back as soon as Redis answers."""
        while True:
            status.beat()
            token = await next_of(self._tokens)
            if token is None:
                continue
            try:
                await take_back(self._cache, token)
            except (redis.exceptions.RedisError, OSError):
                self.add(token)
                await asyncio.sleep(RETRY_SECONDS)


async def next_of(queue: asyncio.Queue[T]) -> T | None:
    """Return what comes next, or None when nothing came for a while; nothing is lost in between."""
    if not queue.empty():
        return queue.get_nowait()
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await queue.get()
    except TimeoutError:
        return None
