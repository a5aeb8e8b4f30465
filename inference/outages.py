"""Servers that are away for a moment: a database that fails over, a cache that is started again.

What took hours must not be lost to a minute without PostgreSQL, so its last write waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from django.db import Error, InterfaceError, OperationalError, connection
from redis.exceptions import RedisError

from inference.serving.remote_store import StoreAwayError
from inference.sqlstates import MAY_PASS

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
# A fail-over takes seconds, an upgrade minutes; who waits longer holds a worker that could stop.
MAX_OUTAGE_SECONDS = 600.0
RETRY_SECONDS = 1.0


def is_outage(error: Exception) -> bool:
    """Whether a server was away, or could not do it now; any other statement would fail again."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if isinstance(error, Error) and state:
        return state.startswith(MAY_PASS)
    if isinstance(error, StoreAwayError) or isinstance(error.__cause__, StoreAwayError):
        return True
    return isinstance(error, RedisError | OperationalError | InterfaceError)


def outlast_outage(work: Callable[[], Result]) -> Result:
    """Do work that may be repeated, again and again while a server is away.

    Args:
        work: one transaction that is harmless when its commit was not acknowledged and it runs again.

    Raises:
        Exception: of the work, when it is no outage, or when one lasts `MAX_OUTAGE_SECONDS`.
    """
    deadline = time.monotonic() + MAX_OUTAGE_SECONDS
    while True:
        try:
            return work()
        except Exception as error:
            if not is_outage(error) or time.monotonic() > deadline:
                raise
        connection.close()  # to a server that is gone; the next query opens another
        time.sleep(RETRY_SECONDS)
