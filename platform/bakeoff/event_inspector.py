"""What arrives, shown to who watches: kept for a moment, in projects that somebody looks at now."""

from __future__ import annotations

import time
from typing import Any, cast

import orjson
import redis
import redis.asyncio
import redis.exceptions

from inference.serving.changes import announce_change, project_events_channel

MAX_SEEN = 100
SEEN_SECONDS = 120
WATCHED_SECONDS = 20
# One sorted set names every project that is watched, with the time until which it is: nobody walks
# through a cache that holds lists of millions of units.
WATCHED = "watched"


def watch(cache: redis.Redis, project: int) -> bool:
    """Mark a project as watched; return whether it was not watched before."""
    now = time.time()
    pipe = cache.pipeline()
    pipe.zremrangebyscore(WATCHED, "-inf", now)
    pipe.zadd(WATCHED, {str(project): now + WATCHED_SECONDS})
    pipe.expire(WATCHED, 2 * WATCHED_SECONDS)
    added: int = pipe.execute()[1]
    return bool(added)


def keep_watched(cache: redis.Redis, project: int) -> None:
    """Mark a project as watched; processes learn at once of one that was not."""
    if watch(cache, project):
        announce_change(cache)


def read_seen(cache: redis.Redis, project: int) -> list[dict[str, Any]]:
    """Return what arrived lately in a project that is watched, newest first."""
    rows = cast("list[bytes]", cache.lrange(_seen_key(project), 0, MAX_SEEN - 1))
    return [orjson.loads(row) for row in rows]


def _seen_key(project: int) -> str:
    return f"seen:{project}"


async def watched_projects(cache: redis.asyncio.Redis) -> frozenset[int]:
    """Return the projects that somebody watches now."""
    try:
        projects = cast("list[bytes]", await cache.zrangebyscore(WATCHED, time.time(), "+inf"))
    except (redis.exceptions.RedisError, OSError):
        return frozenset()
    return frozenset(map(int, projects))


async def show_in_inspector(
    cache: redis.asyncio.Redis, project: int, rows: list[dict[str, Any]]
) -> None:
    """Show rows to those who watch; without a cache nobody watches."""
    try:
        async with cache.pipeline(transaction=False) as pipe:
            pipe.lpush(_seen_key(project), *[orjson.dumps(row) for row in rows[-MAX_SEEN:]])
            pipe.ltrim(_seen_key(project), 0, MAX_SEEN - 1)
            pipe.expire(_seen_key(project), SEEN_SECONDS)
            pipe.publish(project_events_channel(project), b"events")
            await pipe.execute()
    except (redis.exceptions.RedisError, OSError):
        return
