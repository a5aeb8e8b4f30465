"""The cache as the slow lane sees it."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings


@cache
def cache_client() -> redis.Redis:
    """Return this process's client of the cache."""
    return redis.Redis.from_url(settings.BAKEOFF.redis_url)
