"""Parts of an answer on their way to its client: whoever makes them waits for who reads them."""

from __future__ import annotations

import asyncio

MAX_HELD = 32  # parts: a slow client holds up its own answer, and little memory


class Channel:
    """A queue that can be closed; one writer and one reader."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_HELD)
        self._closed = False

    async def put(self, part: bytes) -> None:
        """Give a part; waits while too many are held."""
        await self._parts.put(part)

    def close(self) -> None:
        """Say that nothing more comes."""
        self._closed = True
        # A reader waits only at an empty queue, which has room.
        if self._parts.empty():
            self._parts.put_nowait(None)

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes:
        if self._closed and self._parts.empty():
            raise StopAsyncIteration
        part = await self._parts.get()
        if part is None:
            raise StopAsyncIteration
        return part
