"""Costly work on the texts of generations: it waits its turn, and leaves room for others' texts.

A generation that is refused because a thousand begin at once would be lost, or never begun;
what waits here is bounded by the requests themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.gateway.http.text_threads import MAX_WAITING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.gateway.http.text_threads import TextThreads

T = TypeVar("T")
# Shorter texts take less time than the way to a thread, which waits for the interpreter's lock.
MAX_INLINE = 2_000  # characters
MAX_AT_ONCE = MAX_WAITING // 2


def characters_of(value: Any) -> int:
    """Return how many characters the texts in a value of JSON have."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(str(name)) + characters_of(one) for name, one in value.items())
    if isinstance(value, list | tuple):
        return sum(map(characters_of, value))
    return 0


class TextWork:
    """The way of generations to the threads; one in a process."""

    def __init__(self, threads: TextThreads) -> None:
        """Remember the threads."""
        self._threads = threads
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, work: Callable[[], T], *, characters: int | None) -> T:
        """Return what the work returns.

        Args:
            work: on texts.
            characters: how long they are together; None: the work may take long whatever they are.

        Raises:
            ApiError: 429, others' texts fill the threads.
        """
        if characters is not None and characters <= MAX_INLINE:
            return work()
        async with self._places:
            return await self._threads.run(work)
