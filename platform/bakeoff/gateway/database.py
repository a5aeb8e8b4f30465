"""Connections of the fast lane to PostgreSQL: made when needed, given up at the first trouble.

Guarantees: every wait has a deadline, for a frozen server too; behind a pooler that lends another
server connection to each transaction (PgBouncer) nothing is prepared; a connection that is to write
can write when it is handed out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from bakeoff.database_address import has_several_hosts
from bakeoff.gateway.timeouts import run_with_timeout
from bakeoff.preferred_host import prefer_host_of
from experiments.ingest.statement import WRITE_PROBE, WRITE_PROBE_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

logger = logging.getLogger(__name__)
T = TypeVar("T")
QUESTION_SECONDS = 1.0
RETRY_SECONDS = 1.0
CONNECT_SECONDS = 2
PROBE_SECONDS = 1.0
PREPARE_THRESHOLD = 5
# What a prepared statement looks like that a pooler has left on another server connection.
POOLER_SYMPTOMS = frozenset({"26000", "42P05", "08P01"})
FAULTS = (psycopg.Error, TimeoutError, OSError)


class Connector:
    """How a process reaches its database; one in a process, so that all learn of a pooler together."""

    def __init__(self, url: str, *, pooled: bool = False) -> None:
        """Remember where.

        Args:
            url: a libpq URL, of one host or several.
            pooled: whether a pooler is known to stand in between; it is also found out.
        """
        self.url, self.pooled = url, pooled
        self._several_hosts = has_several_hosts(url)

    async def connect(self, *, writes: bool) -> psycopg.AsyncConnection:
        """Return a new connection in autocommit mode, of several hosts to the one that takes writes.

        Args:
            writes: whether it must be able to write: then no standby will do, and the statement that
                commits facts is tried without any.

        Raises:
            psycopg.Error, TimeoutError, OSError: there is none, or it cannot write.
        """
        connection = await self._open(writes=writes)
        try:
            # A server that is going down or coming up may greet and not serve.
            await run_with_timeout(PROBE_SECONDS, connection, self._look(connection, writes=writes))
        except BaseException:
            await close(connection)
            raise
        if not self.pooled:
            connection.prepare_threshold = PREPARE_THRESHOLD
        return connection

    async def _open(self, *, writes: bool) -> psycopg.AsyncConnection:
        """Connect to the primary; for a question, while there is none, to a standby of it."""
        if not self._several_hosts:
            return await _connect(self.url)
        try:
            primary = await _connect(make_conninfo(self.url, target_session_attrs="read-write"))
        except FAULTS:
            if writes:
                raise
            # It may be behind, so it is asked only where the alternative is no answer.
            return await _connect(make_conninfo(self.url, target_session_attrs="any"))
        self.url = prefer_host_of(primary, self.url)
        return primary

    async def _look(self, connection: psycopg.AsyncConnection, *, writes: bool) -> None:
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        # A pooler answers in the server's place at the start and makes up the process's number.
        if row is None or row[0] != connection.info.backend_pid:
            self.pooled = True
        if writes:
            await connection.execute(WRITE_PROBE, WRITE_PROBE_PARAMETERS)

    def note(self, error: BaseException) -> None:
        """Prepare nothing any more when an error says that a pooler stands in between."""
        if isinstance(error, psycopg.Error) and error.sqlstate in POOLER_SYMPTOMS:
            self.pooled = True

    async def can_write(self) -> bool:
        """Whether a fact could be committed now, seen over a connection of its own."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS + PROBE_SECONDS):
                await close(await self.connect(writes=True))
        except FAULTS:
            return False
        return True


class Lookup:
    """One connection for small questions, one at a time; after trouble it pauses for a moment."""

    def __init__(self, connector: Connector, what: str, *, writes: bool) -> None:
        """Remember how to connect.

        Args:
            connector: of the process.
            what: names the questions in the log.
            writes: whether the answer to one may have to be written first.
        """
        self._connector, self._what, self._writes = connector, what, writes
        self._connection: psycopg.AsyncConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._retry_at = 0.0

    async def ask(self, work: Callable[[psycopg.AsyncConnection], Coroutine[Any, Any, T]]) -> T | None:
        """Return what the work on the connection returns, or None while PostgreSQL is away."""
        loop = asyncio.get_running_loop()
        try:
            # A request that waits behind slow questions does without: an answer without this is better.
            async with asyncio.timeout(QUESTION_SECONDS):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            return None
        try:
            if loop.time() < self._retry_at:
                return None
            return await self._ask(work)
        except FAULTS as error:
            logger.warning("%s are not looked up while PostgreSQL is away: %s", self._what, error)
            self._connector.note(error)
            self._retry_at = loop.time() + RETRY_SECONDS
            await self.stop()
            return None
        finally:
            self._one_at_a_time.release()

    async def _ask(self, work: Callable[[psycopg.AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connector.connect(writes=self._writes)
        return await run_with_timeout(QUESTION_SECONDS, self._connection, work(self._connection))

    async def stop(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)


async def _connect(url: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=CONNECT_SECONDS, prepare_threshold=None
    )


async def close(connection: psycopg.AsyncConnection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.close()
