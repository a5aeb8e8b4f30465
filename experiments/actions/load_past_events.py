"""Load past events from a person's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from experiments.actions.mark_units import mark_later
from experiments.actions.record_load import record_load
from experiments.ingest.load_events import Loaded, PastEvent, load_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def load_past_events(
    *,
    project_id: int,
    events: Iterable[PastEvent],
    by: str,
    progress: Callable[[int], None] = lambda _count: None,
) -> Loaded:
    """Load events; those whose ids are known are skipped, so a load can be run again.

    Args:
        project_id: whose events.
        events: in any order.
        by: who loads.
        progress: is called with the number of rows of each chunk, after its commit.
    """
    connection.ensure_connection()
    with record_load(project_id, by=by, what="events", progress=progress) as count:
        loaded = load_events(connection.connection, project_id, events, progress=count)
    if loaded.with_item:
        mark_later(project_id=project_id)
    return loaded
