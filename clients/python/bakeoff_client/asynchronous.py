"""The same clients for asyncio: each call runs in a thread, so a loop never waits for a socket.

Methods have the names, arguments, types and errors of the client that is not asynchronous; type checkers see
them, since each is derived from it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from bakeoff_client.admin import Admin
from bakeoff_client.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence

C = TypeVar("C", Client, Admin)
P = ParamSpec("P")
Answer = TypeVar("Answer")
_END = object()


class _InThreads(Generic[C]):
    """Has a client whose methods are called in threads."""

    _client: C

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self.close()

    async def close(self) -> None:
        """Close idle connections."""
        await asyncio.to_thread(self._client.close)


def _in_thread(method: Callable[P, Answer]) -> Callable[P, Coroutine[Any, Any, Answer]]:
    """Return a client's method as a coroutine function."""

    @wraps(method)
    async def call(*arguments: P.args, **fields: P.kwargs) -> Answer:
        return await asyncio.to_thread(method, *arguments, **fields)

    return call


def _all_in_thread(
    method: Callable[P, Iterator[Answer]],
) -> Callable[P, Coroutine[Any, Any, list[Answer]]]:
    """Return the same of a method whose rows are read one by one: in the thread, as a list."""

    @wraps(method)
    async def call(*arguments: P.args, **fields: P.kwargs) -> list[Answer]:
        return await asyncio.to_thread(lambda: list(method(*arguments, **fields)))

    return call


class AsyncClient(_InThreads[Client]):
    """`Client` for asyncio: `slate = await client.recommend("home-feed", unit_id="u42")`."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 5.0) -> None:
        """Remember where and as whom.

        Raises:
            ValueError: the URL is none.
        """
        self._client = client = Client(url, key, timeout_seconds=timeout_seconds)
        self.recommend = _in_thread(client.recommend)
        self.similar = _in_thread(client.similar)
        self.popular = _in_thread(client.popular)
        self.trending = _in_thread(client.trending)
        self.latest = _in_thread(client.latest)
        self.search = _in_thread(client.search)
        self.compare = _in_thread(client.compare)
        self.classify = _in_thread(client.classify)
        self.rank = _in_thread(client.rank)
        self.reward = _in_thread(client.reward)
        self.chat = _in_thread(client.chat)
        self.track = _in_thread(client.track)
        self.feedback = _in_thread(client.feedback)
        self.identify = _in_thread(client.identify)
        self.get = _in_thread(client.get)
        self.post = _in_thread(client.post)

    async def chat_stream(
        self, surface: str, messages: Sequence[Mapping[str, Any]] = (), **fields: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the chunks of an answer as they come.

        Raises:
            BakeoffError: it was refused, nobody answered, or the answer was cut off.
        """
        chunks = self._client.chat_stream(surface, messages, **fields)
        try:
            while (chunk := await asyncio.to_thread(next, chunks, _END)) is not _END:
                yield chunk  # type: ignore[misc]  # the end is no chunk
        finally:
            # Of a cancelled task the thread still waits for the next chunk, and closes when it has it.
            with suppress(ValueError):
                chunks.close()


class AsyncAdmin(_InThreads[Admin]):
    """`Admin` for asyncio: `report = await admin.wait_for_experiment("trial")`."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 30.0) -> None:
        """Remember where and as whom.

        Raises:
            ValueError: the URL is none.
        """
        self._client = client = Admin(url, key, timeout_seconds=timeout_seconds)
        self.ask = _in_thread(client.ask)
        self.rows = _all_in_thread(client.rows)
        self.surfaces = _all_in_thread(client.surfaces)
        self.surface = _in_thread(client.surface)
        self.patch_surface = _in_thread(client.patch_surface)
        self.archive_surface = _in_thread(client.archive_surface)
        self.restore_surface = _in_thread(client.restore_surface)
        self.delete_surface = _in_thread(client.delete_surface)
        self.metrics = _all_in_thread(client.metrics)
        self.make_metric = _in_thread(client.make_metric)
        self.patch_metric = _in_thread(client.patch_metric)
        self.archive_metric = _in_thread(client.archive_metric)
        self.restore_metric = _in_thread(client.restore_metric)
        self.delete_metric = _in_thread(client.delete_metric)
        self.experiments = _all_in_thread(client.experiments)
        self.experiment = _in_thread(client.experiment)
        self.define = _in_thread(client.define)
        self.start = _in_thread(client.start)
        self.stop = _in_thread(client.stop)
        self.ship = _in_thread(client.ship)
        self.report = _in_thread(client.report)
        self.report_frame = _in_thread(client.report_frame)
        self.comments = _all_in_thread(client.comments)
        self.comment = _in_thread(client.comment)
        self.edit_comment = _in_thread(client.edit_comment)
        self.delete_comment = _in_thread(client.delete_comment)
        self.versions = _in_thread(client.versions)
        self.runs = _in_thread(client.runs)
        self.run = _in_thread(client.run)
        self.train = _in_thread(client.train)
        self.examples = _all_in_thread(client.examples)
        self.delete_example = _in_thread(client.delete_example)
        self.import_model = _in_thread(client.import_model)
        self.wait_for_experiment = _in_thread(client.wait_for_experiment)
        self.wait_for_run = _in_thread(client.wait_for_run)
