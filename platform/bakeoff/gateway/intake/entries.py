"""The entries of a request as rows: each is read, or refused with a reason of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http.errors import ApiError, invalid, not_found
from bakeoff.gateway.http.fields import parse, read_ids
from bakeoff.gateway.intake import segment
from bakeoff.gateway.intake.claims import Claim
from bakeoff.gateway.intake.requests import EventEntry
from experiments.assignment.flags import NO_FLAGS
from experiments.bounds import MAX_PROPERTIES_BYTES, BoundsError, check
from experiments.ingest.rows import EventRow, ExposureRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.http.fields import Ids

# Codes of entries that are in order and not stored: no error, also when one comes alone.
NOT_RECORDED = frozenset({"no_consent", "crawler"})
# When it happened by our clock, and what the sender said if that differs.
_Times = tuple[datetime, datetime | None]


@dataclass(slots=True)
class RequestRows:
    """The rows of one request; their units are looked up when all are read.

    Attributes:
        events: with the ids in place of the unit.
        exposures: the same, with what is to be checked once the unit is known.
        links: ids that came together and nothing else.
        crawlers: ids of visitors that are crawlers.
        rejected: index, code and message of what is not stored.
        index: of the entry that is read.
    """

    events: list[tuple[Ids, EventRow]] = field(default_factory=list)
    exposures: list[tuple[Ids, ExposureRow, Claim]] = field(default_factory=list)
    links: list[Ids] = field(default_factory=list)
    crawlers: list[Ids] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    index: int = 0

    @property
    def ids(self) -> list[Ids]:
        """All ids, in the order in which their units are looked up."""
        return [ids for ids, _ in self.events] + [ids for ids, *_ in self.exposures] + self.links


def read_entries(
    entries: Sequence[Any], read: Callable[[RequestRows, Any], None], *, is_single: bool
) -> RequestRows:
    """Read each entry; what is wrong with one is its own, unless it came alone.

    Raises:
        ApiError, BoundsError: the only entry is wrong.
    """
    rows = RequestRows()
    for rows.index, entry in enumerate(entries):
        try:
            read(rows, entry)
        except (ApiError, BoundsError) as error:
            if is_single and error.code not in NOT_RECORDED:
                raise
            rows.rejected.append({"index": rows.index, "code": error.code, "message": error.message})
    return rows


def check_entry(entry: dict[str, Any], name: str) -> None:
    """Refuse an entry with a value that no lane takes.

    Raises:
        BoundsError: the value.
    """
    packed = check(entry, name)
    # Only a large entry can have large properties: the second pass is rare.
    if len(packed) > MAX_PROPERTIES_BYTES:
        check(entry.get("properties"), "properties", max_bytes=MAX_PROPERTIES_BYTES)


def read_event(
    rows: RequestRows, call: Call, entry: dict[str, Any], *, times: _Times, agent: object
) -> None:
    """Read an event.

    Args:
        rows: of the request.
        call: who sends it.
        entry: the event, under our names.
        times: when it happened, and by its sender's clock.
        agent: the visitor's user agent as a server says it, or None.

    Raises:
        ApiError, BoundsError: the entry breaks a rule, or the visitor refuses analytics.
    """
    event = parse(EventEntry, entry)
    key, (at, claimed) = call.caller.key, times
    consent = call.caller.limit(event.consent)
    if not consent.analytics:
        raise ApiError(400, "no_consent", "consent.analytics == false, so the event is not kept.")
    # An event that names an item and no slate may be credited to the last slate that showed it.
    credited = call.config.credited.get(key.project_id, ())
    row = EventRow(
        project_id=key.project_id,
        event_id=event.event_id or str(uuid7()),
        name=event.name,
        unit_id="",
        item_id=event.item_id,
        recommendation_id=event.recommendation_id,
        value=event.value,
        occurred_at=at.isoformat(),
        received_at=datetime.now(UTC).isoformat(),
        properties=event.properties,
        source="live",
        claimed_at=claimed.isoformat() if claimed else None,
        trainable=consent.training,
        trusted=key.kind == SECRET,
        credit=event.item_id is not None and event.name in credited,
    )
    rows.events.append((event.ids, row))
    if call.caller.names_crawler(agent):
        rows.crawlers.append(event.ids)


def read_exposure(
    rows: RequestRows, call: Call, message: dict[str, Any], reading: segment.Reading
) -> None:
    """Read an "Experiment Viewed": a client that evaluated by itself says what it showed.

    Raises:
        ApiError, BoundsError: experiment or variant is unknown, or a field is wrong.
    """
    name, variant = segment.exposure_of(message)
    key = call.caller.key
    running = call.config.flags.get(key.project_id, NO_FLAGS).running
    experiment = running.get(name)
    if experiment is None:
        raise not_found("experiment", name, key.project, running)
    if variant not in experiment.variants:
        raise invalid("variation_id", variant, f"one of {sorted(experiment.variants)}")
    ids = read_ids(segment.ids_of(message, "track"))
    at, _ = reading.occurred(message)
    # Judged when the unit is known; here only what the message itself can get wrong is refused.
    claim = Claim(experiment, variant, at, trusted=key.kind == SECRET)
    row = ExposureRow(
        project_id=key.project_id,
        experiment_id=experiment.experiment_id,
        variant_id=experiment.variants[variant].variant_id,
        epoch=claim.epoch,
        unit_id="",
        unit_type="unit",
        exposed_at=at.isoformat(),
        source="secret" if claim.trusted else "public",
    )
    rows.exposures.append((ids, row, claim))
    if call.caller.names_crawler(segment.user_agent_of(message)):
        rows.crawlers.append(ids)
