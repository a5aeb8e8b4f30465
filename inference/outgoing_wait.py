"""Requests to elsewhere for callers that wait: workers, gates and shadows, never in an event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

from inference.outgoing import MAX_ANSWER_BYTES, Answer, OutgoingClient

if TYPE_CHECKING:
    from collections.abc import Coroutine


class _LoopThread:
    """An event loop in a thread, for callers that wait: workers, gates and shadows."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="outgoing").start()
        self.client = OutgoingClient()

    @property
    def is_mine(self) -> bool:
        """Whether the thread runs in this process: a fork has none."""
        return self._process == os.getpid()

    def run(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()


_loop_thread: _LoopThread | None = None
_lock = threading.Lock()


def post_and_wait(
    url: str,
    *,
    content: bytes,
    headers: dict[str, str],
    seconds: float,
    max_bytes: int = MAX_ANSWER_BYTES,
) -> Answer:
    """Send a POST and wait: for workers, never in an event loop.

    Raises:
        OutgoingError: as of `OutgoingClient.post`.
    """
    loop = _shared_loop()
    call = loop.client.post(url, content=content, headers=headers, seconds=seconds, max_bytes=max_bytes)
    return loop.run(call)


def get_and_wait(url: str, *, seconds: float, max_bytes: int) -> Answer:
    """Send a GET and wait: for workers, as `post_and_wait`; it raises as `OutgoingClient.get`."""
    loop = _shared_loop()
    return loop.run(loop.client.get(url, seconds=seconds, max_bytes=max_bytes))


def _shared_loop() -> _LoopThread:
    global _loop_thread  # noqa: PLW0603  one thread in a process
    with _lock:  # two threads that start at once must share one loop
        if _loop_thread is None or not _loop_thread.is_mine:
            _loop_thread = _LoopThread()
        return _loop_thread
