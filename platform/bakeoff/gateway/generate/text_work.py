"""Costly work on the texts of generations: it waits its turn, and leaves room for others' texts.

A generation that is refused because a thousand begin at once would be lost, or never begun;
what waits here is bounded by the requests themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bakeoff.gateway.http.text_threads import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.gateway.http.text_threads import TextThreads

T = TypeVar("T")
MAX_AT_ONCE = MAX_WAITING // 2


class TextWork:
    """The way of generations to the threads; one in a process."""

    def __init__(self, threads: TextThreads) -> None:
        """Remember the threads."""
        self._threads = threads
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns.

        Raises:
            ApiError: 429, others' texts fill the threads.
        """
        async with self._places:
            return await self._threads.run(work)
