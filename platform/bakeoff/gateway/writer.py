"""Group commit: whatever waits is written in one statement, and only then are its senders answered.

Guarantees: `commit` returns "committed" after PostgreSQL has committed, "spilled" after the spill
stream is on disk, and raises otherwise; a row that PostgreSQL refuses fails its own request alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import psycopg
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.errors import ApiError
from bakeoff.gateway.patience import within
from experiments.ingest.spill import STREAM, CannotSpillError, spill
from experiments.ingest.statement import Committed, Payload, statement_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.ingest.rows import Rows

logger = logging.getLogger(__name__)
MOST_WAITING = 5_000
MOST_PER_COMMIT = 512
WRITERS = 1
COMMIT_TIMEOUT_SECONDS = 3.0
MOST_SPILLING = 32
PING_TIMEOUT_SECONDS = 1.0
RECONNECT_SECONDS = 0.25
# How long the first batch of an outage waits for a new connection; the later ones spill at once.
RECONNECT_PATIENCE_SECONDS = 0.5

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
        self._cache = cache
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
            await writer.stop()

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

    async def commit_in_order(self, rows: Rows) -> Outcome:
        """Put rows behind those that are spilled and may be needed first, if there are any.

        Raises:
            ApiError: 503 when they cannot be kept.
        """
        try:
            if not await self._cache.xlen(STREAM):
                return await self.commit(rows)
            await spill(self._cache, Payload.of([rows]))
        except (CannotSpillError, redis.exceptions.RedisError, OSError):
            raise unavailable() from None
        return Outcome("spilled", None)

    async def ping(self) -> bool:
        """Whether PostgreSQL answers a writer."""
        return await self._writers[0].ping()


class _Writer:
    """One connection that writes whatever waits, again and again."""

    def __init__(self, url: str, cache: redis.asyncio.Redis, queue: asyncio.Queue[_Waiting]) -> None:
        self._url, self._cache, self._queue = url, cache, queue
        self._connection: psycopg.AsyncConnection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._away = False
        self._spilling: set[asyncio.Task[None]] = set()
        self._room_to_spill = asyncio.Semaphore(MOST_SPILLING)

    async def run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < MOST_PER_COMMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            spilling = None
            try:
                spilling = await self._write(batch)
            finally:
                if spilling is None:
                    self._settle(batch)
                else:
                    spilling.add_done_callback(partial(self._settle_spilled, batch))

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        for waiting in batch:
            _fail(waiting, unavailable())  # whoever has no answer by now
            self._queue.task_done()

    def _settle_spilled(self, batch: Sequence[_Waiting], spilling: asyncio.Task[None]) -> None:
        self._spilling.discard(spilling)
        self._room_to_spill.release()
        self._settle(batch)

    async def ping(self) -> bool:
        try:
            connection = await self._connected()
            await within(PING_TIMEOUT_SECONDS, connection, connection.execute("SELECT 1"))
        except (psycopg.Error, TimeoutError):
            return False
        return True

    async def stop(self) -> None:
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection:
        """Return the connection; when it broke, another is made beside the work."""
        if self._connection is None or self._connection.closed:
            if self._reconnecting is None or self._reconnecting.done():
                self._reconnecting = asyncio.create_task(self._reconnect())
            if not self._away:
                await asyncio.wait({self._reconnecting}, timeout=RECONNECT_PATIENCE_SECONDS)
        if self._connection is None or self._connection.closed:
            self._away = True
            raise psycopg.OperationalError("PostgreSQL is away.")
        return self._connection

    async def _reconnect(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=2
                )
                # A server that is going down or coming up may greet and not serve.
                await within(PING_TIMEOUT_SECONDS, connection, connection.execute("SELECT 1"))
            except (psycopg.Error, TimeoutError, OSError):
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._connection, self._away = connection, False
                return

    async def _write(self, batch: Sequence[_Waiting]) -> asyncio.Task[None] | None:
        """Commit a batch, or return the task that spills it: the next need not wait for its sync."""
        try:
            outcome = await self._insert([waiting.rows for waiting in batch])
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
            # What became of a statement that timed out is unknown; its repetition is harmless.
            await self._disconnect()
            await self._room_to_spill.acquire()
            spilling = asyncio.create_task(self._spill(batch, error))
            self._spilling.add(spilling)
            return spilling
        except psycopg.Error as error:
            await self._write_one_by_one(batch, error)
            return None
        for waiting in batch:
            _finish(waiting, outcome)
        return None

    async def _write_one_by_one(self, batch: Sequence[_Waiting], error: psycopg.Error) -> None:
        """Find the row that PostgreSQL refuses; the others must not fail with it."""
        if len(batch) == 1:
            logger.warning("row refused: %s", error)
            reason = str(error.diag.message_primary or error)
            refused = ApiError(400, "refused", f"The database refuses a value: {reason}.")
            _fail(batch[0], refused)
            return
        for waiting in batch:
            if spilling := await self._write([waiting]):
                spilling.add_done_callback(partial(self._settle_spilled, ()))
                await spilling

    async def _insert(self, requests: Sequence[Rows]) -> Outcome:
        payload = Payload.of(requests)
        connection = await self._connected()
        row = await within(COMMIT_TIMEOUT_SECONDS, connection, _execute(connection, payload))
        return Outcome("committed", Committed.from_row(row))

    async def _spill(self, batch: Sequence[_Waiting], error: Exception) -> None:
        try:
            await spill(self._cache, Payload.of([waiting.rows for waiting in batch]))
        except (CannotSpillError, redis.exceptions.RedisError, OSError) as second:
            logger.warning("rows are refused: %s; %s", error, second)
            for waiting in batch:
                _fail(waiting, unavailable())
            return
        for waiting in batch:
            _finish(waiting, Outcome("spilled", None))


async def _execute(connection: psycopg.AsyncConnection, payload: Payload) -> tuple[Any, ...]:
    statement = statement_for(payload.kinds)
    cursor = await connection.execute(statement, payload.parameters, prepare=True)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  the statement always returns one row
    return row


def _finish(waiting: _Waiting, outcome: Outcome) -> None:
    if not waiting.done.done():
        waiting.done.set_result(outcome)


def _fail(waiting: _Waiting, error: ApiError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
