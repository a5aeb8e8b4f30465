"""The spill: a Redis stream that holds rows while PostgreSQL is away.

Guarantees: a row is acknowledged as spilled only after the stream's append-only file was synced;
entries are drained in order, each by the idempotent statement, and deleted only after its commit.
Does not guarantee anything on a Redis without an append-only file: there it refuses to spill.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import psycopg

from experiments.ingest.statement import Committed, Payload, statement_for

if TYPE_CHECKING:
    import redis
    import redis.asyncio
    from psycopg import Connection

STREAM = "bakeoff:spill"
REFUSED = "bakeoff:spill:refused"
logger = logging.getLogger(__name__)
SYNC_TIMEOUT_MS = 3_000
MOST_ENTRIES = 100_000


class CannotSpillError(Exception):
    """The rows could not be put where they would survive."""


async def spill(client: redis.asyncio.Redis, payload: Payload) -> None:
    """Append rows and wait until they are on disk.

    Raises:
        CannotSpillError: Redis keeps no append-only file, or did not sync in time, or is full.
    """
    async with client.pipeline(transaction=False) as pipe:
        pipe.xlen(STREAM)
        pipe.xadd(STREAM, payload.as_fields())  # type: ignore[arg-type]
        pipe.execute_command("WAITAOF", 1, 0, SYNC_TIMEOUT_MS)
        length, entry, synced = await pipe.execute()
    if length >= MOST_ENTRIES or not synced or synced[0] < 1:
        await client.xdel(STREAM, entry)
        raise CannotSpillError(
            f"entries == {length}, must be below {MOST_ENTRIES}; synced == {synced}, must be 1."
        )


def drain(client: redis.Redis, connection: Connection, *, most: int = 1000) -> int:
    """Move spilled rows into PostgreSQL; return how many entries were moved."""
    moved = 0
    # The client decodes nothing, so keys and values are bytes.
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(STREAM, count=most))
    for entry, fields in entries:
        if why := _commit(connection, Payload.from_fields(fields)):
            # It would be refused for ever and hold up what comes after: kept aside for a person.
            logger.error("spilled rows are kept in %s: %s", REFUSED, why)
            client.xadd(REFUSED, cast("dict[Any, Any]", fields))
        client.xdel(STREAM, entry)
        moved += 1
    return moved


def _commit(connection: Connection, payload: Payload) -> str:
    """Commit an entry; return why rows of it are refused, or nothing."""
    if not payload.kinds:
        return ""
    try:
        row = connection.execute(statement_for(payload.kinds), payload.parameters).fetchone()
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        return str(error)
    assert row is not None  # noqa: S101  the statement always returns one row
    unbound = payload.count("feedback") - len(Committed.from_row(row).bound)
    return f"feedback of unknown slates == {unbound}" if unbound else ""
