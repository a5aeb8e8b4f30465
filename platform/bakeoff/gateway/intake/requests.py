"""What requests that bring facts may say: one type per route, and one per entry of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.caller import Consent, read_consent
from bakeoff.gateway.http.errors import invalid
from bakeoff.gateway.http.fields import (
    Ids,
    flag,
    identifiers,
    json_object,
    number,
    one_of,
    request_type,
    rule,
    text,
    uuid,
)
from experiments import bounds
from experiments.bounds import MAX_NAME
from experiments.kinds import FEEDBACK_KINDS

if TYPE_CHECKING:
    from datetime import datetime

# A batch is read within the event loop: a longer one would be felt by every other request.
MAX_EVENTS = 1000
MAX_PART = 100  # characters; a reward's event is named by its decision and its part
SEGMENT_BATCH = "/v1/batch"
NUMBERS = {"thumb": (-1, 1), "rating": (1, 2, 3, 4, 5)}


@request_type
class EventEntry:
    """One event of a request; when it occurred is read with the clock of the request.

    Attributes:
        name: of the event.
        item_id: what it is about, or None.
        ids: of the visitor.
        consent: the visitor's.
        event_id: the client's own, by which it is stored once; or None.
        recommendation_id: the slate that it is credited to, or None.
        value: of a purchase, say; or None.
        properties: all else.
    """

    name: str = rule(text(MAX_NAME))
    item_id: str | None = rule(text(), default=None)
    ids: Ids = identifiers()
    consent: Consent = rule(read_consent)
    event_id: str | None = rule(text(), default=None)
    recommendation_id: str | None = rule(uuid, default=None)
    value: float | None = rule(number, default=None)
    properties: dict[str, Any] = rule(json_object)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The body of /v1/events: one event, or a list of them whose entries are judged one by one.

    Attributes:
        entries: as they came.
        is_single: whether the body itself is the event.
        sent_at: by the sender's clock, or None.
        consent: of entries that have none of their own, or None.
    """

    entries: list[Any]
    is_single: bool
    sent_at: datetime | None
    consent: Any

    @classmethod
    def of(cls, data: dict[str, Any]) -> EventBatch:
        """Read a body.

        Raises:
            ApiError: there are no entries, or too many, or the time is none.
        """
        is_single = "events" not in data
        entries = _entries([data] if is_single else data["events"], "events")
        sent_at = data.get("sent_at")
        return cls(
            entries,
            is_single,
            None if sent_at is None else bounds.moment(sent_at, "sent_at"),
            None if is_single else data.get("consent"),
        )


@dataclass(frozen=True, slots=True)
class SegmentBatch:
    """The body of one of Segment's routes: one message, or a batch of them.

    Attributes:
        path: of the route, which names the type of a message that comes alone.
        entries: the messages as they came.
        envelope: the body, which says when it was sent.
    """

    path: str
    entries: list[Any]
    envelope: dict[str, Any]

    @property
    def is_single(self) -> bool:
        """Whether the body itself is the message."""
        return self.path != SEGMENT_BATCH

    @classmethod
    def of(cls, path: str, data: dict[str, Any]) -> SegmentBatch:
        """Read a body.

        Raises:
            ApiError: there are no messages, or too many.
        """
        messages = data.get("batch") if path == SEGMENT_BATCH else [data]
        return cls(path, _entries(messages, "batch"), data)


@request_type
class FeedbackRequest:
    """The body of /v1/feedback.

    Attributes:
        consent: the visitor's.
        kind: one of `FEEDBACK_KINDS`.
        ids: of the visitor.
        recommendation_id: the slate that it is about.
        feedback_id: the client's own, by which it is stored once; or None.
        item_id: of the slate, or None for all of it.
        withdrawn: whether it takes back what was said before.
        value: as the kind wants it: a number, a text, tags; read with the kind.
    """

    consent: Consent = rule(read_consent)
    kind: str = rule(one_of(FEEDBACK_KINDS))
    ids: Ids = identifiers()
    recommendation_id: str = rule(uuid)
    feedback_id: str | None = rule(text(), default=None)
    item_id: str | None = rule(text(), default=None)
    withdrawn: bool = rule(flag, default=False)
    value: Any = rule(lambda value, _name: value)


@request_type
class RewardRequest:
    """The body of /v1/reward.

    Attributes:
        consent: the visitor's.
        recommendation_id: of the decision, as /v1/rank answered it.
        value: how good the action was, in the range of the surface.
        part: the name of a part of it, which adds to the other parts; None: it is the whole reward.
    """

    consent: Consent = rule(read_consent)
    recommendation_id: str = rule(uuid)
    value: float = rule(number)
    part: str | None = rule(text(MAX_PART), default=None)


def _entries(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_EVENTS:
        raise invalid(name, value, f"a list of 1 to {MAX_EVENTS} entries")
    return value
