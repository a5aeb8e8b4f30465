"""Costly work on text, done beside the event loop in a few threads.

Guarantees: at most `THREADS` pieces of work compete with the loop, and at most `MAX_WAITING` wait; more
are refused, so that a flood of long texts slows down its sender and nobody else.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from bakeoff.gateway.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 1  # they share one interpreter lock with the loop: more would only take more of it
MAX_WAITING = 256

T = TypeVar("T")


class TextThreads:
    """The threads of one process."""

    def __init__(self) -> None:
        """Start none before there is work."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="text")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns.

        Raises:
            ApiError: 429, too much waits.
        """
        if self._waiting >= MAX_WAITING:
            raise ApiError(
                429, "too_busy", f"texts waiting == {self._waiting}, must be fewer.", retry_after=1
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """End the threads when they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)
