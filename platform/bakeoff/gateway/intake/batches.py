"""`POST /v1/events` and Segment's routes: read the entries, look up their units, commit, answer.

Each entry is read as a row or refused with a reason; the ids of all rows become units in one question;
the rows are committed together; the answer counts what was new.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.event_inspector import show_in_inspector
from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.http.fields import read_ids
from bakeoff.gateway.intake import segment
from bakeoff.gateway.intake.clock import Clock
from bakeoff.gateway.intake.entries import (
    RequestRows,
    check_entry,
    read_entries,
    read_event,
    read_exposure,
)
from bakeoff.gateway.intake.recent_items import ItemAction, RecentItems
from bakeoff.gateway.metrics import count_events
from experiments.bounds import BoundsError
from experiments.ingest.rows import ExposureRow, QuarantinedRow, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis.asyncio

    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.exclusions import Exclusions
    from bakeoff.gateway.intake.group_commit import CommitResult, GroupCommit
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.requests import EventBatch, SegmentBatch
    from bakeoff.gateway.intake.slate_exposures import SlateExposures
    from bakeoff.gateway.intake.surveyed_units import SurveyedUnits
    from experiments.ingest.rows import EventRow

MAX_SHOWN = 100  # characters of a value in the event inspector


class BatchHandler:
    """Takes events and messages; one in a process."""

    def __init__(
        self,
        writer: GroupCommit,
        cache: redis.asyncio.Redis,
        identity: IdentityResolver,
        *,
        exclusions: Exclusions,
        recent: RecentItems,
        surveyed: SurveyedUnits,
        slates: SlateExposures,
    ) -> None:
        """Remember who takes which step.

        Args:
            writer: commits rows.
            cache: through which the event inspector sees what arrives.
            identity: knows which unit some ids are.
            exclusions: crawlers that were left out before.
            recent: notes what was liked.
            surveyed: notes who saw a survey's question.
            slates: knows what units met by slates that were sent later.
        """
        self._slate_exposures = slates
        self._writer, self._cache, self._identity = writer, cache, identity
        self._exclusions, self._recent, self._surveyed = exclusions, recent, surveyed

    async def events(self, call: Call, batch: EventBatch) -> bytes:
        """Store the good events of a request and name the bad ones.

        Raises:
            ApiError: the only event is wrong, or nothing can be stored.
        """
        call.caller.spend(len(batch.entries) - 1, counted=1)  # at the door, the request itself
        clock = Clock.of(datetime.now(UTC), batch.sent_at)

        def read(rows: RequestRows, entry: Any) -> None:
            if not isinstance(entry, dict):
                raise invalid("event", entry, "an object")
            check_entry(entry, "event")
            # The entry's own consent counts before that of its batch.
            if batch.consent is not None:
                entry = {"consent": batch.consent, **entry}
            times = clock.occurred(entry, "occurred_at")
            read_event(rows, call, entry, times=times, agent=entry.get("user_agent"))

        rows = await self._read(call, batch, read)
        return orjson.dumps(await self._commit(call, rows, len(batch.entries)))

    async def segment(self, call: Call, batch: SegmentBatch) -> bytes:
        """Store Segment's messages.

        Raises:
            ApiError: the only message is wrong, or nothing can be stored.
        """
        call.caller.spend(len(batch.entries) - 1, counted=1)
        reading = segment.Reading.of(batch.envelope, datetime.now(UTC))

        def read(rows: RequestRows, message: Any) -> None:
            reading.index = rows.index
            kind = segment.kind_of(message, batch.path)
            check_entry(message, "message")
            _read_message(rows, call, message, kind=kind, reading=reading)

        rows = await self._read(call, batch, read)
        answer = {"success": True, **await self._commit(call, rows, len(batch.entries))}
        if warnings := reading.warnings_beside(rows.rejected):
            answer["warnings"] = warnings
        return orjson.dumps(answer)

    async def _read(
        self,
        call: Call,
        batch: EventBatch | SegmentBatch,
        read: Callable[[RequestRows, Any], None],
    ) -> RequestRows:
        """Read each entry; the inspector shows what a request of one entry is refused for.

        Raises:
            ApiError, BoundsError: the only entry is wrong.
        """
        try:
            return read_entries(batch.entries, read, is_single=batch.is_single)
        except (ApiError, BoundsError) as error:
            project = call.caller.key.project_id
            if project in call.config.watched:
                refusal = {"index": 0, "code": error.code, "message": error.message}
                shown = [_shown(batch.entries[0], refusal)]
                await show_in_inspector(self._cache, project, shown)
            raise

    async def _commit(self, call: Call, request: RequestRows, rows_sent: int) -> dict[str, Any]:
        """Commit the rows of a request and return what was new."""
        key = call.caller.key
        # Only the entries say whose they are; refused before anything is looked up.
        call.caller.spend_on(request.ids, rows=rows_sent)
        rows = await self._with_units(call, request)
        result: CommitResult | None = None
        rows.exposures += await self._slate_exposures.rows(call, rows.events)
        # A request of nothing but links or refusals has nothing to commit.
        if any((rows.events, rows.exposures, rows.exclusions, rows.quarantined)):
            result = await self._writer.commit(rows)
            count_events(key.project, len(rows.events))
            # Only after the commit: one that failed must be tried again with the next event.
            self._exclusions.remember(rows.exclusions)
            await self._note(call.config, key.project_id, rows.events)
            await self._surveyed.note_events(call.config, key.project_id, rows.events)
        if key.project_id in call.config.watched:
            await self._show(key, request)
        return _counts(request, rows, result)

    async def _note(self, config: ServingConfig, project: int, events: Sequence[EventRow]) -> None:
        """Note what units did with items, as far as anything is remembered of it."""
        about_items = [event for event in events if event.item_id]
        if not about_items:
            return
        names = {event.name for event in about_items}
        wanted = {name for name in names if self._recent.wants(config, project, name)}
        actions = [_action_of(event) for event in about_items if event.name in wanted]
        await self._recent.note(config, project, actions)

    async def _show(self, key: KeyConfig, request: RequestRows) -> None:
        """Show in the inspector what was stored and what was not."""
        stored = [
            _shown({"name": e.name, "unit_id": e.unit_id, "item_id": e.item_id})
            for _, e in request.events
        ]
        stored += [_shown({"name": "exposure", "unit_id": e.unit_id}) for _, e, _ in request.exposures]
        refused = [_shown(row.get("entry"), row) for row in request.rejected]
        await show_in_inspector(self._cache, key.project_id, stored + refused)

    async def _with_units(self, call: Call, request: RequestRows) -> Rows:
        """Return the rows with their units."""
        key, all_ids = call.caller.key, request.ids
        units = await self._identity.units(
            call.config, key.project_id, all_ids, trusted=key.kind == SECRET
        )
        unit_of = dict(zip(all_ids, units, strict=True))
        for ids, event in request.events:
            event.unit_id = unit_of[ids]
        crawlers = [unit_of[ids] for ids in request.crawlers]
        rows = Rows(
            events=[event for _, event in request.events],
            exclusions=self._exclusions.rows(key.project_id, crawlers),
        )
        for ids, exposure, claim in request.exposures:
            exposure.unit_id = unit_of[ids]
            if reason := claim.why_quarantined(exposure.unit_id):
                rows.quarantined.append(_quarantined(exposure, reason))
            else:
                rows.exposures.append(exposure)
        return rows


def _read_message(
    rows: RequestRows, call: Call, message: dict[str, Any], *, kind: str, reading: segment.Reading
) -> None:
    """Read one of Segment's messages.

    Raises:
        ApiError, BoundsError: it breaks a rule, or is of a type that says nothing here.
    """
    if kind in {"identify", "alias"}:
        call.caller.refuse_crawler()
        rows.links.append(read_ids(segment.ids_of(message, kind)))
    elif kind == "track" and message.get("event") == segment.EXPOSED:
        call.caller.refuse_crawler()
        read_exposure(rows, call, message, reading)
    elif kind in {"track", "page", "screen"}:
        event = segment.as_event(message, kind, reading)
        agent = segment.user_agent_of(message)
        read_event(rows, call, event, times=reading.occurred(message), agent=agent)
    else:
        raise segment.unsupported(kind)


def _action_of(event: EventRow) -> ItemAction:
    at = datetime.fromisoformat(event.occurred_at).timestamp()
    return ItemAction(event.unit_id, event.item_id, event.name, event.value, at)


def _shown(entry: Any, refusal: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an entry as the event inspector shows it."""
    fields = entry if isinstance(entry, dict) else {}
    row = {
        name: str(fields.get(name))[:MAX_SHOWN]
        for name in ("name", "event", "unit_id", "item_id")
        if fields.get(name)
    }
    row["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    if refusal is not None:
        row |= {"code": refusal["code"], "message": refusal["message"]}
    return row


def _quarantined(exposure: ExposureRow, reason: str) -> QuarantinedRow:
    """Return an exposure as it is stored when it does not count."""
    return QuarantinedRow(
        project_id=exposure.project_id,
        experiment_id=exposure.experiment_id,
        variant_id=exposure.variant_id,
        epoch=exposure.epoch,
        unit_id=exposure.unit_id,
        exposed_at=exposure.exposed_at,
        reason=reason,
    )


def _counts(request: RequestRows, rows: Rows, result: CommitResult | None) -> dict[str, Any]:
    """Return what was accepted, and what was not."""
    new = len(rows.events)
    if result is not None and result.committed is not None:
        new = _count_new(rows.events, result.committed.events)
    answer = {
        "accepted": new + len(request.exposures) + len(request.links),
        "duplicates": len(rows.events) - new,
        "rejected": request.rejected,
        "durability": result.durability if result else "committed",
    }
    if rows.quarantined:
        answer["quarantined"] = len(rows.quarantined)
    return answer


def _count_new(rows: Sequence[EventRow], new: set[tuple[int, str]] | None) -> int:
    """Count the events of one request that are new; one id twice in a request is one event."""
    if new is None:
        return len(rows)
    return len({row.event_id for row in rows if (row.project_id, row.event_id) in new})
