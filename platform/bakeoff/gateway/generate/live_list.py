"""Tell open lists of generations that another one has ended: a word, and pages ask for the rest."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from inference.serving.changes import project_events_channel

if TYPE_CHECKING:
    import redis.asyncio

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher

TOPIC = "generations"


class LiveList:
    """Announces generations in projects that somebody looks at now; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis, config: ServingConfigWatcher) -> None:
        """Remember where pages listen, and what names the projects that are watched."""
        self._cache, self._config = cache, config

    async def announce(self, project: int) -> None:
        """Tell the pages of a project; without a cache they poll."""
        if project not in self._config.current.watched:
            return
        with suppress(RedisError, OSError):
            await self._cache.publish(project_events_channel(project), TOPIC)
