"""Whether a process should get traffic: it can keep a fact, its work is alive, what it serves is fresh.

PostgreSQL away is no reason: facts spill and answers go on. A load balancer that took every process
out then would turn an outage that nobody notices into a total one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson
import redis.exceptions

from bakeoff.gateway.config.config_watcher import MAX_AGE_SECONDS
from bakeoff.gateway.http.routes import Answer
from experiments.ingest.spill import MAX_ENTRIES, STREAM, why_unfit

if TYPE_CHECKING:
    from bakeoff.gateway.cache import BoundedRedis
    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.database import Connector
    from bakeoff.gateway.http.request import Request
    from inference.supervision import Supervisor

# A load balancer gives up after a few seconds: a frozen Redis must be told by then.
SPILL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Stores:
    """What can keep a fact now.

    Attributes:
        postgres: whether a fact can be committed.
        redis: whether the cache answers.
        no_spill: why nothing can be spilled, or nothing.
    """

    postgres: bool
    redis: bool
    no_spill: str


@dataclass(slots=True)
class Readiness:
    """Answers /healthz and /readyz; one in a process."""

    connector: Connector
    cache: BoundedRedis
    config: ServingConfigWatcher
    supervisor: Supervisor
    _looking: asyncio.Task[_Stores] | None = field(default=None, init=False)

    async def health(self, _request: Request) -> Answer:
        """Answer whether the process lives: it answers, and none of its long-lived work hangs."""
        hung = [status.name for status in self.supervisor.statuses if not status.alive]
        if hung:
            return Answer(503, orjson.dumps({"status": "hung", "work": hung}), [])
        return Answer(200, b'{"status":"ok"}', [])

    async def readiness(self, request: Request) -> Answer:
        """Answer whether it should get traffic.

        With `?strict`, everything must be well: both stores, and every row of the configuration.
        """
        query = request.scope.get("query_string", b"").decode("latin-1")
        strict = "strict" in parse_qs(query, keep_blank_values=True)
        if self._looking is None or self._looking.done():
            # Anybody may ask, and often: all who ask meanwhile get the same answer.
            self._looking = asyncio.create_task(self._look())
        stores = await self._looking
        # While PostgreSQL is away the last configuration is as fresh as any can be.
        fresh = not stores.postgres or self.config.age_seconds <= MAX_AGE_SECONDS
        checks: dict[str, Any] = {
            "configuration": self.config.current.loaded and fresh,
            "postgres": stores.postgres,
            "redis": stores.redis,
            "spill": not stores.no_spill,
            "work": all(status.alive for status in self.supervisor.statuses),
        }
        keeps = stores.postgres or not stores.no_spill
        ready = checks["configuration"] and keeps and checks["work"]
        if strict:
            checks["rows"] = not self.config.current.issues
            ready = all(checks.values())
        body = {
            "ready": ready,
            **checks,
            # A list answers for what cannot be loaded: named, and no reason to send traffic elsewhere.
            "models": not self.config.current.unserved,
            "no_spill": stores.no_spill,
            "tasks": [
                {"name": one.name, "alive": one.alive, "failures": one.failures}
                for one in self.supervisor.statuses
            ],
        }
        return Answer(200 if ready else 503, orjson.dumps(body), [])

    async def _look(self) -> _Stores:
        postgres, (answers, no_spill) = await asyncio.gather(
            self.connector.can_write(), self._look_at_redis()
        )
        return _Stores(postgres, answers, no_spill)

    async def _look_at_redis(self) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(SPILL_SECONDS):
                info = await self.cache.info("everything")
                waiting = await self.cache.xlen(STREAM)
        except (redis.exceptions.RedisError, OSError):
            return False, "Redis gives no answer."
        if waiting >= MAX_ENTRIES:
            return True, f"spilled entries == {waiting}, must be below {MAX_ENTRIES}."
        return True, why_unfit(info)
