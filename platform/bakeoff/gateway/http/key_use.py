"""When keys were last used: noted in memory, written now and then.

Guarantees: a key is written at most once a minute by all processes together, and no request waits for
it. Does not guarantee the last moments of a process that is killed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import psycopg

from bakeoff.gateway.timeouts import run_with_timeout

if TYPE_CHECKING:
    from bakeoff.gateway.database import Connector
    from inference.supervision import WorkStatus

logger = logging.getLogger(__name__)
WRITE_SECONDS = 10.0
TIMEOUT_SECONDS = 5.0
_WRITE = """UPDATE accounts_apikey SET last_used_at = now()
    WHERE digest = ANY(%s) AND coalesce(last_used_at < now() - interval '1 minute', true)"""


class KeyUse:
    """The keys that were used since they were last written; one in a process."""

    def __init__(self, connector: Connector) -> None:
        """Remember where to write."""
        self._connector = connector
        self._used: set[str] = set()

    def note(self, digest: str) -> None:
        """Note that a key was used."""
        self._used.add(digest)

    async def run(self, status: WorkStatus) -> None:
        """Write what was noted, again and again."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            status.beat()
            await self.write()

    async def write(self) -> None:
        """Write what was noted; while PostgreSQL is away it stays noted."""
        if not self._used:
            return
        # Swapped before the wait: keys that are used meanwhile belong to the next write.
        used, self._used = self._used, set()
        try:
            connection = await self._connector.connect(writes=True)
            async with connection:
                await run_with_timeout(
                    TIMEOUT_SECONDS, connection, connection.execute(_WRITE, [list(used)])
                )
        except (psycopg.Error, TimeoutError, OSError) as error:
            logger.info("last use of keys is not written: %s", error)
            self._used |= used
