"""What arrives, shown to who watches: kept for a moment, in projects that somebody looks at now."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import redis.asyncio
import redis.exceptions

from inference.serving.changes import project_events_channel

MAX_SEEN = 100
SEEN_SECONDS = 120
SCAN_SECONDS = 1.0


def watch_key(project: int) -> str:
    """Set while somebody watches a project."""
    return f"watch:{project}"


def seen_key(project: int) -> str:
    """What arrived lately in a project that is watched, newest first."""
    return f"seen:{project}"


async def watched_projects(cache: redis.asyncio.Redis) -> frozenset[int]:
    """Return the projects that somebody watches now."""
    try:
        async with asyncio.timeout(SCAN_SECONDS):  # each of many steps has a deadline of its own
            keys = [key async for key in cache.scan_iter("watch:*", count=200)]
    except (redis.exceptions.RedisError, OSError):
        return frozenset()
    return frozenset(int(key.rpartition(b":")[2]) for key in keys)


async def show_in_inspector(
    cache: redis.asyncio.Redis, project: int, rows: list[dict[str, Any]]
) -> None:
    """Keep rows for who watches; without a cache nobody watches."""
    try:
        async with cache.pipeline(transaction=False) as pipe:
            pipe.lpush(seen_key(project), *[orjson.dumps(row) for row in rows[-MAX_SEEN:]])
            pipe.ltrim(seen_key(project), 0, MAX_SEEN - 1)
            pipe.expire(seen_key(project), SEEN_SECONDS)
            pipe.publish(project_events_channel(project), b"events")
            await pipe.execute()
    except (redis.exceptions.RedisError, OSError):
        return
