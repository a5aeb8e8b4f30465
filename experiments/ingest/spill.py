"""The spill: a Redis stream that holds rows while PostgreSQL is away.

Guarantees: a row is acknowledged as spilled only after the stream's append-only file was synced;
entries are drained in order, each by the idempotent statement, and deleted only after its commit; an
entry whose sender was told that nothing was kept is taken back. What PostgreSQL refuses, and what
fails again and again while it can write, is put aside for a person, alone.
Does not guarantee anything on a Redis without an append-only file: there it refuses to spill.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import psycopg
from redis.exceptions import RedisError
from uuid_utils import uuid7

from experiments.ingest.statement import (
    WRITE_PROBE,
    WRITE_PROBE_PARAMETERS,
    Committed,
    Payload,
    is_refusal,
    statement_for,
)
from inference.sqlstates import OF_THE_SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis
    import redis.asyncio
    from psycopg import Connection

STREAM = "bakeoff:spill"
REFUSED = "bakeoff:spill:refused"
TAKEN_BACK = "bakeoff:spill:taken-back:"
logger = logging.getLogger(__name__)
SYNC_TIMEOUT_MS = 3_000
# An outage may use up Redis's memory, and must not.
MAX_ENTRIES = 100_000
MAX_TRIES = 3
# Longer than any outage that the spill is made for.
TAKEN_BACK_SECONDS = 24 * 3600
MIN_REDIS = (7, 2)  # the first with WAITAOF


class CannotSpillError(Exception):
    """The rows could not be put where they would survive.

    Attributes:
        doubtful: token of an entry that may be there nevertheless, or nothing.
    """

    def __init__(self, message: str, doubtful: str = "") -> None:
        """Keep the parts."""
        super().__init__(message)
        self.doubtful = doubtful


def why_unfit(info: Mapping[str, Any]) -> str:
    """Return why a Redis cannot hold what must not be lost, in one sentence, or nothing.

    Args:
        info: what its INFO says.
    """
    if "valkey_version" not in info:
        version = str(info.get("redis_version", "0"))
        major, _, minor = version.partition(".")
        if (int(major), int(minor.partition(".")[0] or 0)) < MIN_REDIS:
            return (
                f"redis_version == {version}, must be 7.2 or later (or any Valkey): it lacks WAITAOF."
            )
    if not int(info.get("aof_enabled", 0)):
        return "appendonly == no, must be yes: rows that wait for PostgreSQL would be lost with Redis."
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys-"):
        return f"maxmemory-policy == {policy}, must not be allkeys-*: waiting rows would be evicted."
    return ""


async def spill(client: redis.asyncio.Redis, payload: Payload, *, stream: str = STREAM) -> None:
    """Append rows and wait until they are on disk.

    Raises:
        CannotSpillError: Redis keeps no append-only file, does not know WAITAOF, did not sync in time,
            or is full; `doubtful` when it did not answer to the end.
    """
    token = str(uuid7())
    pipe = client.pipeline(transaction=False)
    pipe.xlen(stream)
    pipe.xadd(stream, {**payload.as_fields(), "token": token})  # type: ignore[dict-item]
    # In one pipeline with the entry: the answer says of this very entry whether it is on disk.
    pipe.execute_command("WAITAOF", 1, 0, SYNC_TIMEOUT_MS)
    entry: Any = None
    try:
        length, entry, synced = await pipe.execute(raise_on_error=False)
        if isinstance(entry, Exception):  # out of memory, say: nothing was added
            raise CannotSpillError(str(entry))
        if isinstance(synced, Exception) or length >= MAX_ENTRIES or synced[0] < 1:
            await client.xdel(stream, entry)
            raise CannotSpillError(
                f"entries == {length}, must be below {MAX_ENTRIES}; synced == {synced}, must be 1."
            )
    except (RedisError, OSError, TimeoutError) as error:
        raise CannotSpillError(str(error), doubtful=token) from error


async def take_back(client: redis.asyncio.Redis, token: str) -> None:
    """Have the drain pass over an entry that may or may not be there.

    Its command may still lie unread in a frozen server's socket, so it is marked and not searched.
    """
    await client.set(TAKEN_BACK + token, b"", ex=TAKEN_BACK_SECONDS)


def drain(client: redis.Redis, connection: Connection, *, limit: int = 1000) -> int:
    """Move spilled rows into PostgreSQL; return how many entries were moved.

    Raises:
        psycopg.Error: PostgreSQL cannot write now; what was not moved stays.
    """
    moved = 0
    # The client decodes nothing, so keys and values are bytes.
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(STREAM, count=limit))
    for entry, fields in entries:
        token = fields.pop(b"token", b"").decode()
        if not (token and client.exists(TAKEN_BACK + token)):
            _move(client, connection, fields)
        # After the commit: a drain that dies in between moves the entry again, which is idempotent.
        client.xdel(STREAM, entry)
        moved += 1
    return moved


def _move(client: redis.Redis, connection: Connection, fields: dict[bytes, bytes]) -> None:
    try:
        payload = Payload.from_fields(fields)
        if not payload.kinds and fields:
            raise ValueError(f"fields == {sorted(fields)}, must name a kind of rows.")
        set_aside = _commit(connection, payload) if payload.kinds else []
    except ValueError as error:  # no rows of ours, or no JSON: nothing of it can be written
        _put_aside(client, fields, str(error))
        return
    for part, why in set_aside:
        _put_aside(client, part.as_fields(), why)


def _put_aside(client: redis.Redis, fields: Mapping[Any, Any], why: str) -> None:
    # It would fail for ever and hold up what comes after: kept for a person.
    logger.error("spilled rows are kept in %s: %s", REFUSED, why)
    client.xadd(REFUSED, {**fields, "why": why[:500]})


def _commit(connection: Connection, payload: Payload) -> list[tuple[Payload, str]]:
    """Commit a payload; return the parts that cannot be, each with its reason.

    Raises:
        psycopg.Error: PostgreSQL cannot write now.
    """
    try:
        committed = _try(connection, payload)
    except psycopg.Error as error:
        if not is_refusal(error) and not _is_of_the_rows(connection, payload, error):
            raise
        # One bad row must not hold back the rows that were spilled with it.
        halves = payload.halves()
        if halves is None:
            return [(payload, str(error))]
        return [part for half in halves for part in _commit(connection, half)]
    unbound = payload.unbound_feedback(committed.bound)
    return [(unbound, "feedback of unknown slates")] if unbound else []


def _is_of_the_rows(connection: Connection, payload: Payload, error: psycopg.Error) -> bool:
    """Whether rows go on failing while the same statement without rows commits."""
    for _ in range(MAX_TRIES - 1):
        if (error.sqlstate or "").startswith(OF_THE_SERVER):
            return False
        try:
            connection.execute(WRITE_PROBE, WRITE_PROBE_PARAMETERS)
        except psycopg.Error:
            return False
        try:
            _try(connection, payload)
        except psycopg.Error as again:
            error = again
            continue
        return False
    return not (error.sqlstate or "").startswith(OF_THE_SERVER)


def _try(connection: Connection, payload: Payload) -> Committed:
    row = connection.execute(statement_for(payload.kinds), payload.parameters).fetchone()
    assert row is not None  # noqa: S101  the statement always returns one row
    return Committed.from_row(row)
