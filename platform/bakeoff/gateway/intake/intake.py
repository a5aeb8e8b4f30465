"""What units did and said: check, find the unit, commit, tell serving, answer.

The way of a request: each entry is read as a row or refused with a reason; the ids of all rows become
units in one question; the rows are committed together; the answer counts what was new.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import redis.asyncio
import redis.exceptions
from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.event_inspector import show_in_inspector
from bakeoff.gateway.http import fields
from bakeoff.gateway.http.caller import Consent
from bakeoff.gateway.http.errors import ApiError, invalid, not_found
from bakeoff.gateway.intake import segment
from bakeoff.gateway.intake.claims import Claim
from bakeoff.gateway.intake.feedback_fields import feedback_row
from experiments.assignment.flags import NO_FLAGS
from experiments.bounds import MAX_NAME, MAX_PROPERTIES_BYTES, BoundsError, check
from experiments.ingest.likes import is_liked
from experiments.ingest.redact import redact
from experiments.ingest.rows import EventRow, ExclusionRow, ExposureRow, QuarantinedRow, Rows
from inference.serving.keys import MAX_RECENT, active_key, recent_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig
    from bakeoff.gateway.http.caller import Caller
    from bakeoff.gateway.http.text_threads import Aside
    from bakeoff.gateway.intake.group_commit import CommitResult, GroupCommit
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver, Ids
    from experiments.assignment import RunningExperiment

MAX_EVENTS = 1000
# Unit, item or none, name, value.
_ItemAction = tuple[str, str | None, str, float | None]
EXCLUSIONS_REMEMBERED = 50_000
# Codes of entries that are in order and not kept: no error, also when one comes alone.
NOT_RECORDED = frozenset({"no_consent", "crawler"})


@dataclass(slots=True)
class _RequestRows:
    """The rows of one request; their units are found when all are read.

    Attributes:
        events: with the ids in place of the unit.
        exposures: the same, with what is to be checked once the unit is known.
        links: ids that came together and nothing else.
        bots: ids of visitors that are crawlers.
        rejected: index, code and message of what is not kept.
        index: of the entry that is read.
    """

    events: list[tuple[Ids, EventRow]] = field(default_factory=list)
    exposures: list[tuple[Ids, ExposureRow, Claim]] = field(default_factory=list)
    links: list[Ids] = field(default_factory=list)
    bots: list[Ids] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    index: int = 0

    @property
    def ids(self) -> list[Ids]:
        """All ids, in the order in which `settle` wants their units."""
        return [ids for ids, _ in self.events] + [ids for ids, *_ in self.exposures] + self.links


class Intake:
    """The handlers; one in a process."""

    def __init__(
        self, writer: GroupCommit, cache: redis.asyncio.Redis, identity: IdentityResolver, aside: Aside
    ) -> None:
        """Remember where to write and whom to ask."""
        self._writer, self._cache, self._identity = writer, cache, identity
        self._aside = aside
        self._excluded: OrderedDict[tuple[int, str], None] = OrderedDict()

    async def events(self, config: ServingConfig, caller: Caller, data: dict[str, Any]) -> bytes:
        """Keep the good events of a request and name the bad ones.

        Raises:
            ApiError: the request itself is wrong, or its only event is, or nothing can be kept.
        """
        single = "events" not in data
        entries = _entries([data] if single else data["events"], "events")
        caller.spend(len(entries) - 1)  # the request itself was counted at the door
        clock = fields.Clock.of(datetime.now(UTC), fields.moment(data, "sent_at"))
        default = None if single else data.get("consent")

        def read(draft: _RequestRows, entry: Any) -> None:
            if not isinstance(entry, dict):
                raise invalid("event", entry, "an object")
            _check_entry(entry, "event")
            if default is not None:
                entry = {"consent": default, **entry}
            times = clock.occurred(entry, "occurred_at")
            _read_event(draft, config, caller, entry, times, agent=entry.get("user_agent"))

        draft = await self._read_all(config, caller.key, entries, read, alone=single)
        return orjson.dumps(await self._keep(config, caller, draft))

    async def segment(
        self, config: ServingConfig, caller: Caller, path: str, data: dict[str, Any]
    ) -> bytes:
        """Keep Segment's messages: one, or a batch of them.

        Raises:
            ApiError: the request itself is wrong, or its only message is, or nothing can be kept.
        """
        single = path != "/v1/batch"
        entries = _entries([data] if single else data.get("batch"), "batch")
        caller.spend(len(entries) - 1)
        reading = segment.Reading.of(data, datetime.now(UTC))

        def read(draft: _RequestRows, message: Any) -> None:
            reading.index = draft.index
            kind = segment.kind_of(message, path)
            _check_entry(message, "message")
            if kind in {"identify", "alias"}:
                caller.refuse_crawler()
                draft.links.append(fields.ids(segment.ids_of(message, kind)))
            elif kind == "track" and message.get("event") == segment.EXPOSED:
                caller.refuse_crawler()
                _read_exposure(draft, config, caller, message, reading)
            elif kind in {"track", "page", "screen"}:
                event = segment.as_event(message, kind, reading)
                agent = segment.user_agent_of(message)
                _read_event(draft, config, caller, event, reading.occurred(message), agent=agent)
            else:
                raise segment.unsupported(kind)

        draft = await self._read_all(config, caller.key, entries, read, alone=single)
        answer = {"success": True, **await self._keep(config, caller, draft)}
        if warnings := reading.warnings_beside(draft.rejected):
            answer["warnings"] = warnings
        return orjson.dumps(answer)

    async def feedback(self, config: ServingConfig, caller: Caller, data: dict[str, Any]) -> bytes:
        """Keep one piece of feedback, bound to its slate.

        Raises:
            ApiError: a field is wrong, the slate is not known, or nothing can be kept.
        """
        key = caller.key
        consent = Consent.of(data, caller)
        row = feedback_row(key, data, trainable=consent.training)
        if not consent.analytics:
            return orjson.dumps(
                {"accepted": 0, "duplicates": 0, "redacted": [], "durability": "committed"}
            )
        caller.spend_on([fields.ids(data)])
        if row.kind == "text":  # a long one takes a tenth of a second
            row.text, row.redacted = await self._aside.run(partial(redact, row.text))
        (row.unit_id,) = await self._identity.units(
            config, key.project_id, [fields.ids(data)], may_link=False
        )
        rows, name = Rows(feedback=[row]), (row.project_id, row.feedback_id)
        outcome = await self._writer.commit(rows)
        if outcome.committed is not None and name not in outcome.committed.bound:
            outcome = await self._writer.commit_in_order(rows)  # its slate may be spilled
        accepted = 1
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
        said = (row.unit_id, row.item_id, f"feedback.{row.kind}", row.value)
        await self._tell_serving(config, key, [said])
        return orjson.dumps(
            {
                "accepted": accepted,
                "duplicates": 1 - accepted,
                "redacted": row.redacted,
                "durability": outcome.durability,
            }
        )

    def exclusions(self, key: KeyConfig, units: Sequence[str]) -> list[ExclusionRow]:
        """Return the rows that leave crawlers out of analysis; one that was written is not again."""
        return [
            ExclusionRow(key.project_id, unit, "bot")
            for unit in dict.fromkeys(units)
            if (key.project_id, unit) not in self._excluded
        ]

    def remember(self, exclusions: Sequence[ExclusionRow]) -> None:
        """Note that these are written."""
        for row in exclusions:
            self._excluded[row.project_id, row.unit_id] = None
            if len(self._excluded) > EXCLUSIONS_REMEMBERED:
                self._excluded.popitem(last=False)

    async def _read_all(
        self,
        config: ServingConfig,
        key: KeyConfig,
        entries: list[Any],
        read: Callable[[_RequestRows, Any], None],
        *,
        alone: bool,
    ) -> _RequestRows:
        """Read each entry; who watches sees what a request of one entry is refused for.

        Raises:
            ApiError: the only entry is wrong.
        """
        try:
            return _read_all(entries, read, refuse_alone=alone)
        except (ApiError, BoundsError) as error:
            if key.project_id in config.watched:
                refused = {"index": 0, "code": error.code, "message": error.message}
                await show_in_inspector(self._cache, key.project_id, [_seen(entries[0], refused)])
            raise

    async def _keep(self, config: ServingConfig, caller: Caller, draft: _RequestRows) -> dict[str, Any]:
        """Commit a draft and say what was new."""
        key = caller.key
        caller.spend_on(draft.ids)
        rows = await self._settle(config, key, draft)
        outcome: CommitResult | None = None
        if any((rows.events, rows.exposures, rows.exclusions, rows.quarantined)):
            outcome = await self._writer.commit(rows)
            self.remember(rows.exclusions)
            liked = [(row.unit_id, row.item_id, row.name, row.value) for row in rows.events]
            await self._tell_serving(config, key, liked)
        if key.project_id in config.watched:
            await self._show(key, draft)
        others = len(draft.exposures) + len(draft.links)
        accepted = len(rows.events)
        if outcome is not None and outcome.committed is not None:
            accepted = _count_new(rows.events, outcome.committed.events)
        answer = {
            "accepted": accepted + others,
            "duplicates": len(rows.events) - accepted,
            "rejected": draft.rejected,
            "durability": outcome.durability if outcome else "committed",
        }
        if rows.quarantined:
            answer["quarantined"] = len(rows.quarantined)
        return answer

    async def _show(self, key: KeyConfig, draft: _RequestRows) -> None:
        """Let who watches see what was kept and what was not."""
        kept = [
            _seen({"name": e.name, "unit_id": e.unit_id, "item_id": e.item_id}) for _, e in draft.events
        ]
        kept += [_seen({"name": "exposure", "unit_id": e.unit_id}) for _, e, _ in draft.exposures]
        refused = [_seen(row.get("entry"), row) for row in draft.rejected]
        await show_in_inspector(self._cache, key.project_id, kept + refused)

    async def _settle(self, config: ServingConfig, key: KeyConfig, draft: _RequestRows) -> Rows:
        """Put the units into the rows."""
        asked = draft.ids
        units = await self._identity.units(config, key.project_id, asked, trusted=key.kind == SECRET)
        found = dict(zip(asked, units, strict=True))
        for ids, event in draft.events:
            event.unit_id = found[ids]
        rows = Rows(
            events=[event for _, event in draft.events],
            exclusions=self.exclusions(key, [found[ids] for ids in draft.bots]),
        )
        for ids, exposure, claim in draft.exposures:
            exposure.unit_id = found[ids]
            if why := claim.why_quarantined(exposure.unit_id):
                rows.quarantined.append(_set_aside(exposure, why))
            else:
                rows.exposures.append(exposure)
        return rows

    async def _tell_serving(
        self, config: ServingConfig, key: KeyConfig, actions: Sequence[_ItemAction]
    ) -> None:
        """Let the next request see what was liked, and have the unit's candidates refreshed."""
        pipe = self._cache.pipeline(transaction=False)
        # By rules and not by surface: a project may have hundreds of surfaces, and most count the same.
        rules = {s.history: s.liked for s in config.surfaces.get(key.project_id, {}).values()}
        for history, liked in rules.items():
            for unit, item, name, value in actions:
                if item and is_liked(liked, name, value):
                    recent = recent_key(history, unit)
                    pipe.lpush(recent, item)
                    pipe.ltrim(recent, 0, MAX_RECENT - 1)
                    pipe.sadd(active_key(history), unit)
        if not len(pipe):
            return
        try:
            await pipe.execute()
        except (redis.exceptions.RedisError, OSError):
            return  # the event itself is safe; the cache is rebuilt from it


def _seen(entry: Any, refused: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an entry as who watches sees it."""
    found = entry if isinstance(entry, dict) else {}
    row = {
        name: str(found.get(name))[:100]
        for name in ("name", "event", "unit_id", "item_id")
        if found.get(name)
    }
    row["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    if refused is not None:
        row |= {"code": refused["code"], "message": refused["message"]}
    return row


def _check_entry(entry: dict[str, Any], name: str) -> None:
    """Refuse an entry with a value that no lane takes.

    Raises:
        BoundsError: the value.
    """
    packed = check(entry, name)
    if len(packed) > MAX_PROPERTIES_BYTES:
        check(entry.get("properties"), "properties", max_bytes=MAX_PROPERTIES_BYTES)


def _entries(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_EVENTS:
        raise invalid(name, value, f"a list of 1 to {MAX_EVENTS} entries")
    return value


def _read_all(
    entries: Sequence[Any], read: Callable[[_RequestRows, Any], None], *, refuse_alone: bool
) -> _RequestRows:
    """Read each entry; what is wrong with one is its own, unless it came alone."""
    draft = _RequestRows()
    for draft.index, entry in enumerate(entries):
        try:
            read(draft, entry)
        except (ApiError, BoundsError) as error:
            if refuse_alone and error.code not in NOT_RECORDED:
                raise
            draft.rejected.append({"index": draft.index, "code": error.code, "message": error.message})
    return draft


def _read_event(
    draft: _RequestRows,
    config: ServingConfig,
    caller: Caller,
    entry: dict[str, Any],
    times: tuple[datetime, datetime | None],
    *,
    agent: object,
) -> None:
    key = caller.key
    at, claimed = times
    name = fields.text(entry, "name", max_length=MAX_NAME)
    item = fields.optional_text(entry, "item_id")
    ids = fields.ids(entry)
    consent = Consent.of(entry, caller)
    row = EventRow(
        project_id=key.project_id,
        event_id=fields.optional_text(entry, "event_id") or str(uuid7()),
        name=name,
        unit_id="",
        item_id=item,
        recommendation_id=fields.uuid(entry, "recommendation_id"),
        value=fields.number(entry, "value"),
        occurred_at=at.isoformat(),
        received_at=datetime.now(UTC).isoformat(),
        properties=fields.mapping(entry, "properties"),
        source="live",
        claimed_at=claimed.isoformat() if claimed else None,
        trainable=consent.training,
        trusted=key.kind == SECRET,
        credit=item is not None and name in config.credited.get(key.project_id, ()),
    )
    if not consent.analytics:
        raise ApiError(400, "no_consent", "consent.analytics == false, so the event is not kept.")
    draft.events.append((ids, row))
    if caller.names_crawler(agent):
        draft.bots.append(ids)


def _read_exposure(
    draft: _RequestRows,
    config: ServingConfig,
    caller: Caller,
    message: dict[str, Any],
    reading: segment.Reading,
) -> None:
    """Read an "Experiment Viewed": a client that evaluated by itself says what it showed."""
    name, variant = segment.exposure_of(message)
    running = _running(config, caller.key)
    experiment = running.get(name)
    if experiment is None:
        raise not_found("experiment", name, caller.key.project, running)
    if variant not in experiment.variants:
        raise invalid("variation_id", variant, f"one of {sorted(experiment.variants)}")
    ids = fields.ids(segment.ids_of(message, "track"))
    at, _ = reading.occurred(message)
    claim = Claim(experiment, variant, at, trusted=caller.key.kind == SECRET)
    draft.exposures.append(
        (
            ids,
            ExposureRow(
                project_id=caller.key.project_id,
                experiment_id=experiment.experiment_id,
                variant_id=experiment.variants[variant].variant_id,
                epoch=claim.epoch,
                unit_id="",
                unit_type="unit",
                exposed_at=at.isoformat(),
                source="secret" if claim.trusted else "public",
            ),
            claim,
        )
    )
    if caller.names_crawler(segment.user_agent_of(message)):
        draft.bots.append(ids)


def _set_aside(exposure: ExposureRow, reason: str) -> QuarantinedRow:
    """Return an exposure as it is kept when it does not count."""
    return QuarantinedRow(
        project_id=exposure.project_id,
        experiment_id=exposure.experiment_id,
        variant_id=exposure.variant_id,
        epoch=exposure.epoch,
        unit_id=exposure.unit_id,
        exposed_at=exposure.exposed_at,
        reason=reason,
    )


def _running(config: ServingConfig, key: KeyConfig) -> Mapping[str, RunningExperiment]:
    return config.flags.get(key.project_id, NO_FLAGS).running


def _count_new(rows: Sequence[EventRow], new: set[tuple[int, str]] | None) -> int:
    """Count the events of one request that are new; one id twice in a request is one event."""
    if new is None:
        return len(rows)
    return len({row.event_id for row in rows if (row.project_id, row.event_id) in new})
