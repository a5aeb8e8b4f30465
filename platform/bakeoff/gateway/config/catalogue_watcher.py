"""Live catalogues: what changes is served within two seconds of its commit.

Guarantees: a change is read when it is announced, and at the next poll when no announcement arrives;
while PostgreSQL or Redis is away, the last catalogue serves on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import psycopg
import redis.exceptions

from bakeoff.gateway.cache import subscribe
from bakeoff.gateway.config.catalogue_reader import CatalogueReader
from bakeoff.gateway.config.stored_catalogues import StoredCatalogues
from experiments.slate_rules.filters import Filters
from inference.serving.catalogue import NO_ITEMS, Catalogue
from inference.serving.changes import CATALOGUE_CHANNEL

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis

    from inference.supervision import Supervisor, WorkStatus

logger = logging.getLogger(__name__)
POLL_SECONDS = 1.0  # two of these are the promise: one poll may just have missed a commit
# A shop whose stock moves all the time announces hundreds of changes a second: they travel together.
GATHER_SECONDS = 0.1
READ_SECONDS = 60.0  # a first reading of a million items takes some twenty
READER, LISTENER = "catalogue", "catalogue announcements"


class CatalogueWatcher:
    """Keeps the catalogues of all projects up to date in the background."""

    def __init__(
        self, database_url: str, stored: Path, listening: Redis, supervisor: Supervisor
    ) -> None:
        """Remember where to read.

        Args:
            database_url: of PostgreSQL.
            stored: folder for large catalogues, shared by the web processes of a machine.
            listening: for announcements; waits as long as it takes.
            supervisor: keeps the background work alive.
        """
        self._reader = CatalogueReader(database_url, StoredCatalogues(stored))
        self._listening, self._supervisor = listening, supervisor
        self._catalogues: dict[int, Catalogue] = {}
        self._filters: dict[int, Filters] = {}
        self._loaded = False
        self._changed = asyncio.Event()
        self._tried = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def of(self, project: int) -> Catalogue:
        """Return a project's catalogue; an empty one when it has none."""
        return self._catalogues.get(project, NO_ITEMS)

    def filters_of(self, project: int) -> Filters:
        """Return the filters of a project's catalogue, for the event loop alone."""
        catalogue = self.of(project)
        filters = self._filters.get(project)
        if filters is None or filters.catalogue is not catalogue:
            filters = self._filters[project] = Filters(catalogue)
        return filters

    async def start(self) -> None:
        """Load once if possible, then keep up."""
        self._supervisor.start(READER, self._keep_up, max_silence_seconds=2 * READ_SECONDS)
        self._supervisor.start(LISTENER, self._listen)
        await self._tried.wait()

    async def stop(self) -> None:
        """End the background work."""
        self._reader.hang_up()  # its thread must not outlive the process
        await self._supervisor.stop(READER, LISTENER)
        self._reader.close()

    async def _listen(self, status: WorkStatus) -> None:
        """Wake the reader when a change is announced; without Redis, polling is enough."""
        while True:
            try:
                async for message in subscribe(self._listening, CATALOGUE_CHANNEL):
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
                await self._read()
            finally:
                self._tried.set()  # with what there is: what is wrong is tried again
            await asyncio.sleep(GATHER_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), POLL_SECONDS - GATHER_SECONDS)
            self._changed.clear()

    async def _read(self) -> None:
        """Read in a thread; a server that gives no answer is hung up on."""
        async with self._one_at_a_time:  # one connection, and an older answer must not come later
            reading = asyncio.ensure_future(
                asyncio.to_thread(self._reader.read, self._catalogues, everything=not self._loaded)
            )
            done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
            if not done:
                self._reader.hang_up()
            try:
                await reading
                self._loaded = True
            except psycopg.Error as error:
                logger.warning("catalogues are not read, the last ones serve on: %s", error)
