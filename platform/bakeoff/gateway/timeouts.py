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

import psycopg

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

T = TypeVar("T")


async def run_with_timeout(
    seconds: float, connection: psycopg.AsyncConnection, work: Coroutine[Any, Any, T]
) -> T:
    """Return what the work on a connection returns, or break the connection.

    Raises:
        TimeoutError: it took longer; what became of it is unknown, and the connection is of no use.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:  # nobody waits any more, and the work must not go on alone
        shut_down(connection)
        raise
    if not done:
        shut_down(connection)
        await asyncio.wait({task})
        if task.exception() is not None:
            raise TimeoutError(f"PostgreSQL gave no answer within {seconds:g} s.")
    return task.result()


def shut_down(connection: psycopg.AsyncConnection | psycopg.Connection) -> None:
    """Hang up: every thread that waits for the connection gets an error at once."""
    with (
        contextlib.suppress(OSError, ValueError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
