"""Who generates now, who waits, and who is refused.

Guarantees: at most `slots` generations run at once, over all models; at most `max_waiting` requests
wait, first come first served; whoever would be one more is refused at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bakeoff.local_llm.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """A bounded queue in front of a few slots.

    Attributes:
        running: how many generate.
        waiting: how many wait.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        """Begin with free slots."""
        self.running, self.waiting = 0, 0
        self._slots, self._max_waiting = asyncio.Semaphore(slots), max_waiting

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold a slot for the length of a block; wait for it before.

        Raises:
            ApiError: too many wait.
        """
        if self._slots.locked() and self.waiting >= self._max_waiting:
            raise ApiError.busy(self.waiting)
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()
