"""Group commit: whatever waits is written in one statement, and only then are its senders answered.

Guarantees: `commit` returns "committed" after PostgreSQL has committed, "spilled" after the spill
stream is on disk, and raises otherwise; a row that PostgreSQL refuses fails its own request alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psycopg
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.errors import ApiError
from experiments.ingest.spill import CannotSpillError, spill
from experiments.ingest.statement import Committed, Payload, statement_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.ingest.rows import Rows

logger = logging.getLogger(__name__)
MOST_WAITING = 5_000
MOST_PER_COMMIT = 512
WRITERS = 1
COMMIT_TIMEOUT_SECONDS = 10.0
RECONNECT_SECONDS = 0.5

Durability = Literal["committed", "spilled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How durable the rows are, and what was new among them; None when that is not known yet."""

    durability: Durability
    committed: Committed | None


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    done: asyncio.Future[Outcome]


def unavailable() -> ApiError:
    """Return the answer when nothing can be kept."""
    return ApiError(
        503,
        "cannot_commit",
        "The database cannot be reached; nothing of this request was kept.",
        retry_after=2,
    )


class GroupCommit:
    """The writers of one process: while one waits for its commit, the other gathers the next."""

    def __init__(self, database_url: str, cache: redis.asyncio.Redis) -> None:
        """Remember where to write."""
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(MOST_WAITING)
        self._writers = [_Writer(database_url, cache, self._queue) for _ in range(WRITERS)]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the writers."""
        self._tasks = [asyncio.create_task(writer.run()) for writer in self._writers]

    async def stop(self) -> None:
        """Write what waits, then end."""
        await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            await writer.disconnect()

    async def commit(self, rows: Rows) -> Outcome:
        """Wait until the rows are durable.

        Raises:
            ApiError: 503 when they cannot be kept, 429 when too many wait, 400 when PostgreSQL
                refuses a value.
        """
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise ApiError(
                429,
                "too_busy",
                f"requests waiting == {MOST_WAITING}, must be fewer.",
                retry_after=1,
            ) from None
        return await waiting.done

    async def ping(self) -> bool:
        """Whether PostgreSQL answers a writer."""
        return await self._writers[0].ping()


class _Writer:
    """One connection that writes whatever waits, again and again."""

    def __init__(self, url: str, cache: redis.asyncio.Redis, queue: asyncio.Queue[_Waiting]) -> None:
        self._url, self._cache, self._queue = url, cache, queue
        self._connection: psycopg.AsyncConnection | None = None
        self._retry_at = 0.0

    async def run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MOST_PER_COMMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            finally:
                for waiting in batch:
                    _fail(waiting, unavailable())  # whoever has no answer by now
                    self._queue.task_done()

    async def ping(self) -> bool:
        try:
            connection = await self._connect()
            await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError):
            return False
        return True

    async def disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcome = await self._insert([waiting.rows for waiting in batch])
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
            await self._spill(batch, error)
            return
        except psycopg.Error as error:
            await self._write_one_by_one(batch, error)
            return
        for waiting in batch:
            _finish(waiting, outcome)

    async def _write_one_by_one(self, batch: Sequence[_Waiting], error: psycopg.Error) -> None:
        """Find the row that PostgreSQL refuses; the others must not fail with it."""
        if len(batch) == 1:
            logger.warning("row refused: %s", error)
            reason = str(error.diag.message_primary or error)
            refused = ApiError(400, "refused", f"The database refuses a value: {reason}.")
            _fail(batch[0], refused)
            return
        for waiting in batch:
            await self._write([waiting])

    async def _insert(self, requests: Sequence[Rows]) -> Outcome:
        payload = Payload.of(requests)
        connection = await self._connect()
        async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
            cursor = await connection.execute(
                statement_for(payload.kinds),
                payload.parameters,
                prepare=True,
            )
            row = await cursor.fetchone()
        assert row is not None  # noqa: S101  the statement always returns one row
        return Outcome("committed", Committed.from_row(row))

    async def _connect(self) -> psycopg.AsyncConnection:
        """Return the connection, made again if it broke; not more often than twice a second."""
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:
            raise psycopg.OperationalError("PostgreSQL was away a moment ago.")
        self._retry_at = now + RECONNECT_SECONDS
        self._connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=2
        )
        return self._connection

    async def _spill(self, batch: Sequence[_Waiting], error: Exception) -> None:
        # What became of a statement that timed out is unknown; its repetition is harmless.
        await self.disconnect()
        try:
            await spill(self._cache, Payload.of([waiting.rows for waiting in batch]))
        except (CannotSpillError, redis.exceptions.RedisError, OSError) as second:
            logger.warning("rows are refused: %s; %s", error, second)
            for waiting in batch:
                _fail(waiting, unavailable())
            return
        for waiting in batch:
            _finish(waiting, Outcome("spilled", None))


def _finish(waiting: _Waiting, outcome: Outcome) -> None:
    if not waiting.done.done():
        waiting.done.set_result(outcome)


def _fail(waiting: _Waiting, error: ApiError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
