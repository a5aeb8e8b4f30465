"""Items that units liked lately, in the cache: what the next request of a unit is ranked by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import redis.asyncio
import redis.exceptions

from experiments.ingest.likes import is_liked
from inference.serving.keys import MAX_RECENT, active_key, recent_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.config.serving_config import ServingConfig


class ItemAction(NamedTuple):
    """What a unit did with an item, if it was one: the name of an event, or of feedback."""

    unit: str
    item: str | None
    name: str
    value: float | None


class RecentItems:
    """Notes what is liked; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to note."""
        self._cache = cache

    async def note(self, config: ServingConfig, project: int, actions: Sequence[ItemAction]) -> None:
        """Let the next request see what was liked, and have the unit's candidates refreshed."""
        pipe = self._cache.pipeline(transaction=False)
        # By rules and not by surface: a project may have hundreds of surfaces, and most count the same.
        rules = {s.history: s.liked for s in config.surfaces.get(project, {}).values()}
        for history, liked in rules.items():
            for unit, item, name, value in actions:
                if item and is_liked(liked, name, value):
                    recent = recent_key(history, unit)
                    pipe.lpush(recent, item)
                    pipe.ltrim(recent, 0, MAX_RECENT - 1)
                    pipe.sadd(active_key(history), unit)
        if not len(pipe):
            return
        try:
            await pipe.execute()
        except (redis.exceptions.RedisError, OSError):
            return  # the event itself is safe; the cache is rebuilt from it
