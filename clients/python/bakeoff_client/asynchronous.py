"""The same clients for asyncio: each call runs in a thread, so a loop never waits for a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from bakeoff_client.admin import Admin
from bakeoff_client.client import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T", Client, Admin)


class _InThreads(Generic[T]):
    """Calls a client's methods in threads; they have its names, arguments and errors."""

    _kind: type[T]

    def __init__(self, url: str, key: str, **options: Any) -> None:
        """Take the arguments of the client that is not asynchronous."""
        self._client = self._kind(url, key, **options)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self.close()

    async def close(self) -> None:
        """Close idle connections."""
        await asyncio.to_thread(self._client.close)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return a method of the client as a coroutine function."""
        if name.startswith("_") or not callable(method := getattr(self._client, name, None)):
            raise AttributeError(f"'{type(self).__name__}' has no method '{name}'")

        @wraps(method)
        async def call(*arguments: Any, **fields: Any) -> Any:
            return await asyncio.to_thread(_whole, method, *arguments, **fields)

        return call


def _whole(method: Callable[..., Any], *arguments: Any, **fields: Any) -> Any:
    """Call a method; rows that it would read one by one are read here, in the thread, as a list."""
    answer = method(*arguments, **fields)
    return list(answer) if isinstance(answer, Iterator) else answer


class AsyncClient(_InThreads[Client]):
    """`Client` for asyncio: `slate = await client.recommend("home-feed", unit_id="u42")`."""

    _kind = Client


class AsyncAdmin(_InThreads[Admin]):
    """`Admin` for asyncio: `report = await admin.wait_for_experiment("trial")`."""

    _kind = Admin
