"""Live configuration: one frozen value that every request reads, rebuilt when something changes.

Guarantees: a request sees one consistent configuration; while PostgreSQL or Redis is away, or frozen,
the last one serves on; a malformed row keeps its last good value and touches no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, cast

import orjson
import psycopg
import redis.asyncio
import redis.exceptions

from bakeoff.event_inspector import watched_projects
from bakeoff.gateway.cache import subscribe
from bakeoff.gateway.config.config_reader import ServingConfigReader
from bakeoff.gateway.config.serving_config import ServingConfig
from inference.serving.changes import CHANGES, CHANNEL
from inference.serving.heartbeats import ServingHeartbeat
from inference.serving.keys import PROBES, SERVING, serving_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.gateway.config.versions import ServingVersion
    from inference.serving.probes import ProbeResult
    from inference.supervision import Supervisor, WorkStatus

logger = logging.getLogger(__name__)
# The longest that a change waits when no announcement of it arrives.
POLL_SECONDS = 2.0
# Four missed heartbeats: a process that was killed must not count as serving for long.
HEARTBEAT_TTL_SECONDS = 8
READ_SECONDS = 30.0  # a frozen PostgreSQL must not hold the thread, nor the end of the process
MAX_AGE_SECONDS = 30.0
READER, LISTENER, HEARTBEAT = "configuration", "announcements", "heartbeat"


class ServingConfigWatcher:
    """Keeps `current` up to date in the background."""

    def __init__(
        self,
        database_url: str,
        cache: redis.asyncio.Redis,
        listening: redis.asyncio.Redis,
        artifacts: Path,
        supervisor: Supervisor,
    ) -> None:
        """Remember where to read.

        Args:
            database_url: of PostgreSQL.
            cache: for heartbeats.
            listening: for announcements; waits as long as it takes.
            artifacts: folder of the models.
            supervisor: keeps the background work alive.
        """
        self.current = ServingConfig()
        self._reader = ServingConfigReader(database_url, artifacts)
        self._cache, self._listening, self._supervisor = cache, listening, supervisor
        self._read_at = 0.0
        self._changes = 0  # announced before the last reload began
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self.open_breakers: Callable[[], list[int]] = list  # of whoever asks models elsewhere
        # Answers a question with a version that does not serve yet.
        self.prober: Callable[[ServingVersion, str, str], Awaitable[ProbeResult]] | None = None
        self._probe_results: dict[int, ProbeResult] = {}
        self._probing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._tried = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.reloaded = asyncio.Event()  # of the next reload: whoever waits is woken once

    @property
    def age_seconds(self) -> float:
        """Seconds since the configuration was read."""
        return time.monotonic() - self._read_at

    async def start(self) -> None:
        """Load once if possible, then keep up."""
        self._supervisor.start(READER, self._keep_up, max_silence_seconds=2 * READ_SECONDS)
        self._supervisor.start(LISTENER, self._listen)
        self._supervisor.start(HEARTBEAT, self._publish_often)
        await self._tried.wait()

    async def stop(self) -> None:
        """End the background work and take this process off the list of those that serve."""
        self._reader.hang_up()  # its thread must not outlive the process
        if self._probing is not None:
            # A probe may be waiting for a model's deadline, which may be longer than the process has.
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._supervisor.stop(READER, LISTENER, HEARTBEAT)
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            # Its name first: a name without a heartbeat is that of a process that was killed.
            await self._cache.srem(SERVING, self.process)
            await self._cache.delete(serving_key(self.process))

    async def _listen(self, status: WorkStatus) -> None:
        """Wake the reload when a change is announced; without Redis, polling is enough."""
        while True:
            try:
                async for message in subscribe(self._listening, CHANNEL):
                    status.beat()
                    if message is not None:
                        self._changed.set()
            except (redis.exceptions.RedisError, OSError):
                status.beat()
                await asyncio.sleep(POLL_SECONDS)

    async def _keep_up(self, status: WorkStatus) -> None:
        while True:
            status.beat()
            try:
                await self._reload()
            finally:
                self._tried.set()  # with what there is: what is wrong is tried again
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), POLL_SECONDS)
            self._changed.clear()

    async def _publish_often(self, status: WorkStatus) -> None:
        """Say that this process serves, also while a reload takes its time."""
        while True:
            status.beat()
            await self._publish()
            await asyncio.sleep(POLL_SECONDS)

    async def _reload(self) -> None:
        async with self._one_at_a_time:  # an older answer must not come after a newer one
            wanted = await self._wanted_probes()
            changes = await self._count_changes()  # before the tables: no more is claimed than read
            try:
                watched = await watched_projects(self._cache)
                self.current = replace(await self._read_in_time(list(wanted)), watched=watched)
                self._read_at, self._changes = time.monotonic(), changes
                # The next reload's event first: who waits again at once must not be woken twice.
                done, self.reloaded = self.reloaded, asyncio.Event()
                done.set()
            except psycopg.Error as error:
                logger.warning("configuration is not reloaded, the last one serves on: %s", error)
        self._start_probes(wanted)
        await self._publish()

    async def _publish(self) -> None:
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            pipe = self._cache.pipeline(transaction=False)
            pipe.sadd(SERVING, self.process)
            body = orjson.dumps(self._heartbeat())
            pipe.set(serving_key(self.process), body, ex=HEARTBEAT_TTL_SECONDS)
            await pipe.execute()

    async def _read_in_time(self, probed_ids: Sequence[int]) -> ServingConfig:
        """Read in a thread; a server that gives no answer is hung up on.

        Raises:
            psycopg.Error: PostgreSQL is away.
        """
        reading = asyncio.ensure_future(asyncio.to_thread(self._reader.read, self.current, probed_ids))
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        if not done:
            self._reader.hang_up()
        return await reading

    async def _wanted_probes(self) -> dict[int, str]:
        """Return the nonces of the versions that somebody wants tried, by version id."""
        try:
            wanted = cast("dict[bytes, bytes]", await self._cache.hgetall(PROBES))
        except (redis.exceptions.RedisError, OSError):
            return {}
        return {int(v): nonce.decode() for v, nonce in wanted.items() if v.isdigit()}

    async def _count_changes(self) -> int:
        """Return how many changes were announced so far."""
        try:
            return int(await self._cache.get(CHANGES) or 0)
        except (redis.exceptions.RedisError, OSError):
            return self._changes

    def _start_probes(self, wanted: Mapping[int, str]) -> None:
        """Try versions beside the reload: an answer may take as long as its deadline."""
        self._probe_results = {v: one for v, one in self._probe_results.items() if v in wanted}
        # One round at a time; the asker announces again until it has its results.
        if self.prober is not None and wanted and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe(dict(wanted)))

    async def _probe(self, wanted: Mapping[int, str]) -> None:
        for version_id, nonce in wanted.items():
            version, known = self.current.probed.get(version_id), self._probe_results.get(version_id)
            answered = known is not None and known.nonce == nonce and not known.problem
            if version is None or self.prober is None or answered:
                continue
            problem = self._reader.versions.problems.get(version.digest, "")
            self._probe_results[version_id] = await self.prober(version, problem, nonce)
            await self._publish()

    def _heartbeat(self) -> ServingHeartbeat:
        surfaces = list(self.current.all_surfaces())
        champions = {s.surface_id: s.champion for s in surfaces if s.champion is not None}
        return ServingHeartbeat(
            # A champion that could not be loaded is not served: the static list is.
            champion={str(s): one.version_id for s, one in champions.items() if one.model},
            experiment={str(s.surface_id): s.tests[0].experiment_id for s in surfaces if s.tests},
            unserved=self.current.unserved,
            impaired=self.current.impaired,
            breakers=self.open_breakers(),
            changes=self._changes,
            probes={str(v): one.as_json() for v, one in self._probe_results.items()},
            work=[status.as_json() for status in self._supervisor.statuses],
            issues=[asdict(issue) for issue in self.current.issues],
        )
