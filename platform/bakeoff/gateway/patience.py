"""Wait for PostgreSQL for a while, even when it is frozen.

Cancelling is not enough: psycopg then asks the server to cancel and waits for its answer, which a
frozen server never gives. Closing the socket ends the wait whatever the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    import psycopg

T = TypeVar("T")


async def within(
    seconds: float, connection: psycopg.AsyncConnection, work: Coroutine[Any, Any, T]
) -> T:
    """Return what the work on a connection returns, or break the connection.

    Raises:
        TimeoutError: it took longer; what became of it is unknown, and the connection is of no use.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        _shut_down(connection)
        await asyncio.wait({task})
        if task.exception() is not None:
            raise TimeoutError(f"PostgreSQL gave no answer within {seconds:g} s.")
    return task.result()


def _shut_down(connection: psycopg.AsyncConnection) -> None:
    with (
        contextlib.suppress(OSError, ValueError),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
