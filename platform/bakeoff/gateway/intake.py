"""`POST /v1/events` and `POST /v1/feedback`: check, commit, tell serving, answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import redis.asyncio
import redis.exceptions
from uuid_utils import uuid7

from bakeoff.gateway import fields
from bakeoff.gateway.errors import ApiError, invalid
from experiments.ingest.likes import is_liked
from experiments.ingest.rows import EventRow, FeedbackRow, Rows
from inference.serving.keys import RECENT_KEPT, dirty_key, recent_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.live import Live, LiveKey
    from bakeoff.gateway.writer import GroupCommit, Outcome

MOST_EVENTS = 1000
KINDS = ("thumb", "rating")


class Intake:
    """The handlers; one in a process."""

    def __init__(self, writer: GroupCommit, cache: redis.asyncio.Redis) -> None:
        """Remember where to write."""
        self._writer, self._cache = writer, cache

    async def events(self, live: Live, key: LiveKey, data: dict[str, Any]) -> bytes:
        """Keep the good events of a request and name the bad ones.

        Raises:
            ApiError: the request itself is wrong, or its only event is, or nothing can be kept.
        """
        single = "events" not in data
        entries = [data] if single else data["events"]
        if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_EVENTS:
            raise invalid("events", entries, f"a list of 1 to {MOST_EVENTS} events")
        received = datetime.now(UTC)
        rows, rejected = [], []
        for index, entry in enumerate(entries):
            try:
                rows.append(_event_row(key, entry, received))
            except ApiError as error:
                if single:
                    raise
                rejected.append({"index": index, "code": error.code, "message": error.message})
        outcome: Outcome | None = None
        if rows:
            outcome = await self._writer.commit(Rows(events=rows))
            await self._tell_serving(live, key, rows)
        accepted = len(rows)
        if outcome is not None and outcome.committed is not None:
            accepted = _count_new(rows, outcome.committed.events)
        return orjson.dumps(
            {
                "accepted": accepted,
                "duplicates": len(rows) - accepted,
                "rejected": rejected,
                "durability": outcome.durability if outcome else "committed",
            }
        )

    async def _tell_serving(self, live: Live, key: LiveKey, rows: Sequence[EventRow]) -> None:
        """Let the next request see what was liked, and have the unit's candidates refreshed."""
        pipe = self._cache.pipeline(transaction=False)
        for surface in live.surfaces.get(key.project_id, {}).values():
            for row in rows:
                if row.item_id is not None and is_liked(surface.liked, row.name, row.value):
                    name = recent_key(surface.surface_id, row.unit_id)
                    pipe.lpush(name, row.item_id)
                    pipe.ltrim(name, 0, RECENT_KEPT - 1)
                    pipe.sadd(dirty_key(surface.surface_id), row.unit_id)
        if not len(pipe):
            return
        try:
            await pipe.execute()
        except (redis.exceptions.RedisError, OSError):
            return  # the event itself is safe; the cache is rebuilt from it

    async def feedback(self, key: LiveKey, data: dict[str, Any]) -> bytes:
        """Keep one piece of feedback, bound to its slate.

        Raises:
            ApiError: a field is wrong, the slate is not known, or nothing can be kept.
        """
        row = _feedback_row(key, data)
        outcome = await self._writer.commit(Rows(feedback=[row]))
        accepted, name = 1, (row.project_id, row.feedback_id)
        if outcome.committed is not None:
            if name not in outcome.committed.bound:
                raise ApiError(
                    404,
                    "unknown_recommendation",
                    f"recommendation_id == {row.recommendation_id}, not found in project "
                    f"'{key.project}'.",
                    field="recommendation_id",
                )
            accepted = int(name in outcome.committed.feedback)
        return orjson.dumps(
            {"accepted": accepted, "duplicates": 1 - accepted, "durability": outcome.durability}
        )


def _count_new(rows: Sequence[EventRow], new: set[tuple[int, str]] | None) -> int:
    """Count the events of one request that are new; one id twice in a request is one event."""
    if new is None:
        return len(rows)
    return len({row.event_id for row in rows if (row.project_id, row.event_id) in new})


def _event_row(key: LiveKey, entry: Any, received: datetime) -> EventRow:
    if not isinstance(entry, dict):
        raise invalid("event", entry, "an object")
    return EventRow(
        project_id=key.project_id,
        event_id=fields.optional_text(entry, "event_id") or str(uuid7()),
        name=fields.text(entry, "name", most=fields.MOST_NAME),
        unit_id=fields.unit(entry),
        item_id=fields.optional_text(entry, "item_id"),
        recommendation_id=fields.uuid(entry, "recommendation_id"),
        value=fields.number(entry, "value"),
        occurred_at=fields.occurred_at(entry, received),
        received_at=received.isoformat(),
        properties=fields.mapping(entry, "properties"),
        source="live",
    )


def _feedback_row(key: LiveKey, data: dict[str, Any]) -> FeedbackRow:
    kind = fields.one_of(data, "kind", KINDS)
    value = fields.number(data, "value")
    allowed = (-1, 1) if kind == "thumb" else (1, 2, 3, 4, 5)
    if value is None or value not in allowed:
        raise invalid("value", data.get("value"), f"one of {allowed} for a {kind}")
    recommendation = fields.uuid(data, "recommendation_id")
    if recommendation is None:
        raise invalid("recommendation_id", None, "a UUID")
    return FeedbackRow(
        project_id=key.project_id,
        feedback_id=fields.optional_text(data, "feedback_id") or str(uuid7()),
        recommendation_id=recommendation,
        item_id=fields.optional_text(data, "item_id") or "",
        unit_id=fields.unit(data),
        kind=kind,
        value=value,
        received_at=datetime.now(UTC).isoformat(),
    )
