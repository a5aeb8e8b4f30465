"""Group commit: whatever waits is written in one statement, and only then are its senders answered.

Guarantees: `commit` returns "committed" after PostgreSQL has committed, "spilled" after the spill
stream is on disk, and raises otherwise. What cannot be written as JSON, and what PostgreSQL refuses
(SQLSTATE 22, 23), fails its own request alone. Everything else is an outage: the connection is
dropped, the idempotent statement repeated or spilled. Rows that fail again and again while PostgreSQL
can write are put aside for a person, alone. Nothing that a request sends ends the writer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import psycopg
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.database import FAULTS, Connector, close
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.intake.spill_doubts import SpillDoubts, next_of
from bakeoff.gateway.metrics import (
    COMMIT_BYTES,
    COMMIT_REQUESTS,
    COMMIT_SECONDS,
    count_durable,
)
from bakeoff.gateway.timeouts import run_with_timeout
from experiments.ingest.spill import MAX_TRIES, REFUSED, STREAM, CannotSpillError, spill
from experiments.ingest.statement import Committed, Payload, is_refusal, statement_for
from inference.sqlstates import OF_THE_SERVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.intake.commit_spans import CommitSpan, CommitSpans
    from experiments.ingest.rows import Rows
    from inference.supervision import Supervisor, WorkStatus

logger = logging.getLogger(__name__)
# Beyond these a request is refused at once: a queue that nobody can empty only makes all of them late.
MAX_WAITING = 5_000
MAX_WAITING_BYTES = 256 * 2**20
MAX_PER_COMMIT = 512
MAX_BYTES_PER_COMMIT = 8 * 2**20  # PostgreSQL reads it as one value, Redis keeps it as one entry
COMMIT_TIMEOUT_SECONDS = 3.0
# Each batch that is spilled waits for its own sync; more at once would only wait for the same disk.
MAX_SPILLING = 32
RECONNECT_SECONDS = 0.25
# How long the first batch of an outage waits for a new connection; the later ones spill at once.
RECONNECT_PATIENCE_SECONDS = 0.5
STOP_SECONDS = 8.0  # to write what waits, at the end of the process

Durability = Literal["committed", "spilled"]


@dataclass(frozen=True, slots=True)
class CommitResult:
    """How durable the rows are, and what was new among them; None when that is not known yet."""

    durability: Durability
    committed: Committed | None


@dataclass(slots=True)
class _Waiting:
    payload: Payload
    done: asyncio.Future[CommitResult]
    span: CommitSpan | None = None


def _unavailable(requests: int = 1) -> ApiError:
    """Count requests of which nothing can be kept; return their answer."""
    count_durable("unavailable", requests)
    return ApiError(
        503,
        "cannot_commit",
        "The database cannot be reached; nothing of this request was kept.",
        retry_after=2,
    )


class GroupCommit:
    """The writer of one process: while one batch waits for its commit, the next gathers."""

    def __init__(
        self,
        connector: Connector,
        cache: redis.asyncio.Redis,
        supervisor: Supervisor,
        spans: CommitSpans | None = None,
    ) -> None:
        """Remember where to write, who keeps the writer alive, and what traces commits."""
        self._cache, self._supervisor, self._spans = cache, supervisor, spans
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(MAX_WAITING)
        self._waiting_bytes = 0
        self._doubts = SpillDoubts(cache)
        self._writer = _Writer(connector, cache, self._queue, self._doubts)

    @property
    def waiting(self) -> int:
        """Requests that wait for the writer."""
        return self._queue.qsize()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of requests that are not answered yet."""
        return self._waiting_bytes

    async def start(self) -> None:
        """Start the writer."""
        self._supervisor.start("writer", self._writer.run)
        self._supervisor.start("withdrawals", self._doubts.run)

    async def stop(self) -> None:
        """Write what waits, for a while, then end: whatever the servers do, the process must end."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._queue.join()
        except TimeoutError:
            logger.warning("requests that are not written at the end: %d", self._queue.qsize())
        await self._supervisor.stop("writer", "withdrawals")
        while not self._queue.empty():
            _fail(self._queue.get_nowait(), _unavailable())
        await self._writer.stop()

    async def commit(self, rows: Rows) -> CommitResult:
        """Wait until the rows are durable.

        Raises:
            ApiError: 503 when they cannot be kept, 429 when too many wait, 400 when a value cannot be
                written as JSON or PostgreSQL refuses it.
        """
        payload = _payload_of(rows)
        if self._spans is None:
            return await self._commit(payload)
        with self._spans.committing(rows) as span:
            result = await self._commit(payload, span)
            span.end(result.durability)
            return result

    async def _commit(self, payload: Payload, span: CommitSpan | None = None) -> CommitResult:
        waiting = _Waiting(payload, asyncio.get_running_loop().create_future(), span)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            raise _too_busy(
                f"bytes waiting == {self._waiting_bytes}, must be at most {MAX_WAITING_BYTES}"
            )
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise _too_busy(f"requests waiting == {MAX_WAITING}, must be fewer") from None
        # Until it is answered, not until it is taken: a batch being written holds its bytes, too.
        size = payload.size
        self._waiting_bytes += size
        try:
            return await waiting.done
        finally:
            self._waiting_bytes -= size

    async def holds_spilled(self) -> bool:
        """Whether rows wait in the spill stream, or may: what is not found may be among them."""
        try:
            return bool(await self._cache.xlen(STREAM))
        except (redis.exceptions.RedisError, OSError):
            return True

    async def commit_in_order(self, rows: Rows) -> CommitResult:
        """Put rows behind those that are spilled and may be needed first, if there are any.

        Raises:
            ApiError: as of `commit`.
        """
        payload = _payload_of(rows)
        if self._spans is None:
            return await self._commit_in_order(payload)
        with self._spans.committing(rows) as span:
            result = await self._commit_in_order(payload, span)
            span.end(result.durability)
            return result

    async def _commit_in_order(self, payload: Payload, span: CommitSpan | None = None) -> CommitResult:
        try:
            # Feedback must not overtake its slate: what is spilled first is drained first.
            if not await self._cache.xlen(STREAM):
                return await self._commit(payload, span)
            await spill(self._cache, payload)
        except CannotSpillError as error:
            self._doubts.add(error.doubtful)
            raise _unavailable() from None
        except (redis.exceptions.RedisError, OSError):
            raise _unavailable() from None
        count_durable("spilled", 1)
        return CommitResult("spilled", None)


def _payload_of(rows: Rows) -> Payload:
    """Write one request's rows as JSON, before they meet those of others.

    Raises:
        ApiError: 400, a value of them has no JSON.
    """
    try:
        return Payload.of(rows)
    except TypeError as error:
        raise ApiError(400, "not_storable", f"A value cannot be stored: {error}.") from error


def _too_busy(why: str) -> ApiError:
    return ApiError(429, "too_busy", f"{why}.", retry_after=1)


class _Writer:
    """One connection that writes whatever waits, again and again."""

    def __init__(
        self,
        connector: Connector,
        cache: redis.asyncio.Redis,
        queue: asyncio.Queue[_Waiting],
        doubts: SpillDoubts,
    ) -> None:
        self._connector, self._cache, self._queue, self._doubts = connector, cache, queue, doubts
        self._connection: psycopg.AsyncConnection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._away = False
        self._status: WorkStatus | None = None
        # Taken off the queue, and too large for the batch it came with: the next one begins with it.
        self._following: _Waiting | None = None
        self._spilling: set[asyncio.Task[None]] = set()
        self._room_to_spill = asyncio.Semaphore(MAX_SPILLING)

    async def run(self, status: WorkStatus) -> None:
        self._status = status
        while True:
            status.beat()
            batch = await self._gather()
            if not batch:
                continue
            spilling = None
            try:
                spilling = await self._write(batch)
            except Exception as error:  # noqa: BLE001  it fails these requests, and no other
                status.record_failure(error)
            finally:
                if spilling is None:
                    self._settle(batch)
                else:
                    spilling.add_done_callback(partial(self._settle_spilled, batch))

    async def _gather(self) -> list[_Waiting]:
        """Return what waits and fits into one commit; nothing when nobody came for a while."""
        first, self._following = self._following, None
        if first is None:
            first = await next_of(self._queue)
        if first is None:
            return []
        batch, size = [first], first.payload.size
        while len(batch) < MAX_PER_COMMIT and not self._queue.empty():
            following = self._queue.get_nowait()
            size += following.payload.size
            if size > MAX_BYTES_PER_COMMIT:
                self._following = following
                break
            batch.append(following)
        return batch

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        for waiting in batch:
            if not waiting.done.done():
                _fail(waiting, _unavailable())
            self._queue.task_done()

    def _settle_spilled(self, batch: Sequence[_Waiting], spilling: asyncio.Task[None]) -> None:
        self._spilling.discard(spilling)
        self._room_to_spill.release()
        self._settle(batch)
        if not spilling.cancelled() and (error := spilling.exception()) is not None:
            logger.error("a batch was not spilled", exc_info=error)

    async def stop(self) -> None:
        if self._following is not None:
            self._settle([self._following])
        # What is being spilled at the very end has had its seconds in GroupCommit.stop.
        for task in (self._reconnecting, *self._spilling):
            if task is not None:
                task.cancel()
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    async def _connected(self) -> psycopg.AsyncConnection:
        """Return a connection that can write; when it broke, another is made beside the work.

        Raises:
            psycopg.OperationalError: there is none.
        """
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
                self._connection = await self._connector.connect(writes=True)
            except FAULTS as error:
                self._connector.note(error)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._away = False
                return

    async def _write(self, batch: Sequence[_Waiting]) -> asyncio.Task[None] | None:
        """Commit a batch, or return the task that spills it: the next need not wait for its sync."""
        error: BaseException | None = None
        for _ in range(MAX_TRIES):
            error = await self._try(batch)
            if error is None:
                return None
            if is_refusal(error):
                break
            # What became of a statement that timed out is unknown; its repetition is harmless.
            await self._disconnect()
            if (
                not isinstance(error, psycopg.Error)
                or error.sqlstate is None
                or error.sqlstate.startswith(OF_THE_SERVER)
                or not await self._answers()
            ):
                return await self._start_spilling(batch, error)
        # PostgreSQL can write, and not these rows: find them, so that no other fails with them.
        assert error is not None  # noqa: S101  the loop ran
        await self._split(batch, error)
        return None

    async def _answers(self) -> bool:
        """Whether a new connection can write."""
        try:
            await self._connected()
        except psycopg.OperationalError:
            return False
        return True

    async def _try(self, batch: Sequence[_Waiting]) -> BaseException | None:
        """Commit a batch and answer; return what went wrong."""
        if self._status is not None:
            self._status.beat()  # many tries of a batch that is split are no hanging
        for waiting in batch:
            if waiting.span is not None:
                waiting.span.begin_write(len(batch))
        try:
            outcome = await self._insert(Payload.join([waiting.payload for waiting in batch]))
            COMMIT_REQUESTS.observe(len(batch))
        except FAULTS as error:
            self._connector.note(error)
            return error
        count_durable(outcome.durability, len(batch))
        for waiting in batch:
            _finish(waiting, outcome)
        return None

    async def _split(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        if len(batch) == 1:
            await self._reject(batch[0], error)
            return
        middle = len(batch) // 2
        # In halves: a bad request among hundreds is found in a few commits, and the others are written.
        for half in (batch[:middle], batch[middle:]):
            if spilling := await self._write(half):
                spilling.add_done_callback(partial(self._settle_spilled, ()))
                await asyncio.wait({spilling})

    async def _reject(self, waiting: _Waiting, error: BaseException) -> None:
        """Refuse what PostgreSQL refuses; keep aside what fails for no reason that the sender knows."""
        logger.warning("rows refused: %s", error)
        if is_refusal(error):
            reason = error.diag.message_primary if isinstance(error, psycopg.Error) else None
            message = f"The database refuses a value: {reason or error}."
            count_durable("refused", 1)
            _fail(waiting, ApiError(400, "refused", message))
            return
        await self._keep([waiting], stream=REFUSED, error=error)

    async def _insert(self, payload: Payload) -> CommitResult:
        connection = await self._connected()
        started = time.perf_counter()
        row = await run_with_timeout(COMMIT_TIMEOUT_SECONDS, connection, _execute(connection, payload))
        COMMIT_SECONDS.observe(time.perf_counter() - started)
        COMMIT_BYTES.observe(payload.size)
        return CommitResult("committed", Committed.from_row(row))

    async def _start_spilling(
        self, batch: Sequence[_Waiting], error: BaseException
    ) -> asyncio.Task[None]:
        # Without room the writer waits here, so that the queue fills and new requests are refused.
        await self._room_to_spill.acquire()
        spilling = asyncio.create_task(self._keep(batch, stream=STREAM, error=error))
        self._spilling.add(spilling)
        return spilling

    async def _keep(self, batch: Sequence[_Waiting], *, stream: str, error: BaseException) -> None:
        """Put a batch into a stream of Redis and answer."""
        try:
            payload = Payload.join([waiting.payload for waiting in batch])
            await spill(self._cache, payload, stream=stream)
        except CannotSpillError as second:
            logger.warning("rows are refused: %s; %s", error, second)
            self._doubts.add(second.doubtful)
            refusal = _unavailable(len(batch))
            for waiting in batch:
                _fail(waiting, refusal)
            return
        count_durable("spilled" if stream == STREAM else "set_aside", len(batch))
        for waiting in batch:
            _finish(waiting, CommitResult("spilled", None))


async def _execute(connection: psycopg.AsyncConnection, payload: Payload) -> tuple[Any, ...]:
    statement = statement_for(payload.kinds)
    # Where the connection's threshold is None, behind a pooler, this prepares nothing either.
    cursor = await connection.execute(statement, payload.parameters, prepare=True)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  the statement always returns one row
    return row


def _finish(waiting: _Waiting, outcome: CommitResult) -> None:
    # A visitor who left has cancelled the future: setting it would raise, and fail the others.
    if not waiting.done.done():
        waiting.done.set_result(outcome)


def _fail(waiting: _Waiting, error: ApiError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
