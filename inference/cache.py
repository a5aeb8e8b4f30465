"""The cache as the slow lane sees it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from inference.redis_clients import redis_client

if TYPE_CHECKING:
    import redis

TIMEOUT_SECONDS = 15.0


@cache
def cache_client() -> redis.Redis:
    """Return this process's client of the cache."""
    # A server that is frozen must not hold a thread for ever; nothing here blocks on purpose.
    return redis_client(settings.BAKEOFF.redis_url, socket_timeout=TIMEOUT_SECONDS)
