"""Bulk load of past events: COPY into a staging table, then one idempotent insert per chunk.

Older events than live ones may be loaded (experiments/bounds.py); an event id that was loaded before is
skipped, so a load that was interrupted is simply run again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from experiments.ingest.statement import INSERT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from psycopg import Connection

# Some seconds of work per transaction: short enough that live writes hardly wait.
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One event of a log."""

    event_id: str
    name: str
    unit_id: str
    item_id: str | None
    value: float | None
    occurred_at: datetime
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the events of a load.

    Attributes:
        new: how many were new.
        known: how many were there before.
        with_item: how many new ones name an item.
        unknown: how many of those name one that is not in the catalogue.
    """

    new: int
    known: int
    with_item: int = 0
    unknown: int = 0


_COLUMNS = "event_id, name, unit_id, item_id, value, occurred_at, properties"


def load_events(
    connection: Connection,
    project_id: int,
    events: Iterable[PastEvent],
    *,
    progress: Callable[[int], None] = lambda _count: None,
) -> Loaded:
    """Load events in chunks, each committed by itself.

    Args:
        connection: a connection in autocommit mode.
        project_id: whose events they are.
        events: in any order.
        progress: told after its commit how many rows each chunk held.
    """
    rows, loaded = iter(events), Loaded(0, 0)
    while chunk := list(islice(rows, CHUNK)):
        part = _load_chunk(connection, project_id, chunk)
        loaded = Loaded(
            new=loaded.new + part.new,
            known=loaded.known + part.known,
            with_item=loaded.with_item + part.with_item,
            unknown=loaded.unknown + part.unknown,
        )
        progress(len(chunk))
    return loaded


def _load_chunk(connection: Connection, project_id: int, chunk: Sequence[PastEvent]) -> Loaded:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            """CREATE TEMPORARY TABLE staged (event_id text, name text, unit_id text, item_id text,
            value float8, occurred_at timestamptz, properties jsonb) ON COMMIT DROP"""
        )
        with cursor.copy(f"COPY staged ({_COLUMNS}) FROM STDIN") as copy:
            for e in chunk:
                copy.write_row(
                    (
                        e.event_id,
                        e.name,
                        e.unit_id,
                        e.item_id,
                        e.value,
                        e.occurred_at,
                        orjson.dumps(e.properties).decode(),
                    )
                )
        cursor.execute(
            # DISTINCT: a log may hold an event twice. Ordered by id, as live batches are, so that no
            # two writers wait for each other in a circle.
            f"""WITH sent AS (SELECT DISTINCT ON (event_id) {_COLUMNS},
                    %(project)s::bigint AS project_id, now() AS received_at,
                    NULL::timestamptz AS claimed_at, 'loaded' AS source,
                    NULL::uuid AS recommendation_id, false AS credit, true AS trainable, true AS trusted
                FROM staged ORDER BY event_id), {INSERT_EVENTS}
            SELECT count(*), count(item_id), count(*) FILTER (WHERE NOT item_known) FROM events""",
            {"project": project_id},
        )
        new, with_item, unknown = cursor.fetchone() or (0, 0, 0)
        return Loaded(new, len(chunk) - new, with_item, unknown)
