"""A generation in a task of its own, so that it is recorded whatever becomes of its client."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from bakeoff.gateway.generate.channel import Channel
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.request import wait_for_disconnect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bakeoff.asgi_types import Receive

logger = logging.getLogger(__name__)


class Running:
    """The task of one generation, and what it gives."""

    def __init__(self, work: Callable[[Channel], Coroutine[None, None, None]]) -> None:
        """Start it.

        Args:
            work: writes parts of the answer; raises ApiError where there is none.
        """
        self.parts = Channel()
        self._abandoned = False
        self._task = asyncio.create_task(work(self.parts))
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ApiError):
            logger.error("a generation failed", exc_info=error)
        self.parts.close()

    def abandon(self) -> None:
        """Cancel it, once: its clean-up records how far it came, and must not be cancelled in turn."""
        if not self._abandoned:
            self._abandoned = True
            self._task.cancel()

    async def close(self) -> None:
        """Wait until nothing of it runs any more."""
        with suppress(asyncio.CancelledError, Exception):
            await asyncio.shield(self._task)

    async def first(self, receive: Receive) -> bytes:
        """Return the first part, and give the generation up if its client leaves before.

        Raises:
            ApiError: there is no answer.
        """
        gone = asyncio.ensure_future(wait_for_disconnect(receive))
        gone.add_done_callback(lambda done: None if done.cancelled() else self.abandon())
        try:
            return await anext(self.parts)
        except StopAsyncIteration:
            await self.close()
            raise self._error() from None
        except asyncio.CancelledError:  # the server stops
            self.abandon()
            await self.close()
            raise
        finally:
            gone.cancel()

    def _error(self) -> ApiError:
        error = None if self._task.cancelled() else self._task.exception()
        if isinstance(error, ApiError):
            return error
        if self._task.cancelled():
            return ApiError(499, "disconnected", "The client went away before the answer.")
        return ApiError(503, "failed", "The request could not be answered.", retry_after=1)
