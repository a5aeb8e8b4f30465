"""Segment's messages, read as ours: https://segment.com/docs/connections/spec/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.intake.clock import Clock
from experiments import bounds
from experiments.bounds import EARLIEST, BoundsError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

T = TypeVar("T")

# Where the spec and its users put what we have a field for; the first that is there counts.
_ITEM = ("item_id", "product_id", "productId")
_VALUE = ("value", "revenue", "total")
EXPOSED = "Experiment Viewed"


def kind_of(message: Any, path: str) -> str:
    """Return the type of a message; `/v1/track` and its like say it in their path.

    Raises:
        ApiError: it is not an object, or names none.
    """
    if not isinstance(message, dict):
        raise invalid("message", message, "an object")
    # The path decides: a `type` in the body of /v1/track would be a second opinion.
    kind = path.removeprefix("/v1/") if path != "/v1/batch" else message.get("type")
    if not isinstance(kind, str):
        raise invalid("type", kind, "track, page, screen, identify or alias")
    return kind


@dataclass(slots=True)
class Reading:
    """What is read of messages, and what is left out of them because it does not fit.

    Segment takes nearly anything; so does this: the event is kept, and the answer's `warnings` say what
    of it is not.

    Attributes:
        clock: of the envelope.
        index: of the message that is read; None is the envelope.
        warnings: index, field, code and message of what was left out.
    """

    clock: Clock
    index: int | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, data: dict[str, Any], received: datetime) -> Reading:
        """Begin with the envelope, whose `sentAt` may be none."""
        reading = cls(Clock(received))
        sent = reading.fit(data, ("sentAt",), bounds.moment)
        reading.clock = Clock.of(received, sent)
        return reading

    def fit(
        self, source: dict[str, Any], names: tuple[str, ...], read: Callable[[Any, str], T]
    ) -> T | None:
        """Return the first of some fields that can be read; warn when there are some and none can."""
        refusal: BoundsError | None = None
        for name in names:
            value = source.get(name)
            if value is None:
                continue
            try:
                return read(value, name)
            except BoundsError as error:
                refusal = refusal or error
        if refusal is not None:
            self.leave_out(refusal.field, f"{refusal.message[:-1]}: left out.")
        return None

    def leave_out(self, name: str, message: str) -> None:
        """Say what was left out."""
        self.warnings.append(
            {"index": self.index, "field": name, "code": "left_out", "message": message}
        )

    def warnings_beside(self, rejected: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the warnings of what is kept."""
        refused = {row["index"] for row in rejected}
        return [warning for warning in self.warnings if warning["index"] not in refused]

    def object(self, message: dict[str, Any], name: str) -> dict[str, Any]:
        """Return an object, or an empty one."""
        return self.fit(message, (name,), _object) or {}

    def occurred(self, message: dict[str, Any]) -> tuple[datetime, datetime | None]:
        """Return when it happened by our clock, and what its sender said if that differs.

        A clock that was never set says 1970: then it happened when it came. Where the envelope's clock
        makes no sense beside the message's, the message's counts.

        Raises:
            ApiError: it is out of range by either clock.
        """
        claimed = self.fit(message, ("originalTimestamp", "timestamp"), bounds.moment)
        if claimed is None:
            return self.clock.received, None
        data = {"timestamp": claimed.isoformat()}
        plain = Clock(self.clock.received)
        try:
            return self.clock.occurred(data, "timestamp")
        except ApiError:
            if claimed < EARLIEST:
                self.leave_out("timestamp", f"timestamp == {data['timestamp']}, is no time: left out.")
                return self.clock.received, None
            if self.clock.skew is None:
                raise
            at, _ = plain.occurred(data, "timestamp")
            self.leave_out("sentAt", "sentAt is far from timestamp, which is in range: left out.")
            return at, None


def ids_of(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the ids of a message under our names; an alias's former id is the anonymous one."""
    anonymous = message.get("previousId") if kind == "alias" else message.get("anonymousId")
    unit = message.get("userId")
    return {
        "anonymous_id": _as_text(anonymous) or None,
        "unit_id": _as_text(unit) or None,
    }


def as_event(message: dict[str, Any], kind: str, reading: Reading) -> dict[str, Any]:
    """Return a track, page or screen message as an event of ours, without its time.

    What cannot be a value, an item or a slate stays in the properties alone.
    """
    properties = reading.object(message, "properties")
    event = {
        "event_id": reading.fit(message, ("messageId",), _id),
        "name": message.get("event") if kind == "track" else kind,
        "item_id": reading.fit(properties, _ITEM, _id),
        "recommendation_id": reading.fit(properties, ("recommendation_id",), _uuid),
        "value": reading.fit(properties, _VALUE, bounds.decimal),
        "properties": properties,
        "consent": _consent(reading.object(message, "context")),
        **ids_of(message, kind),
    }
    if kind != "track" and (name := message.get("name")):
        event["properties"] = {"name": name, **properties}
    return event


def user_agent_of(message: dict[str, Any]) -> object:
    """Return the visitor's user agent, if the message has one."""
    context = message.get("context")
    return context.get("userAgent") if isinstance(context, dict) else None


def exposure_of(message: dict[str, Any]) -> tuple[str, str]:
    """Return the keys of experiment and variant of an "Experiment Viewed".

    Raises:
        ApiError: it names none.
    """
    value = message.get("properties")
    properties = value if isinstance(value, dict) else {}
    experiment = _first(properties, ("experiment_key", "experiment_id", "experiment_name"))
    variant = _first(properties, ("variant", "variation_key", "variation_id", "variation_name"))
    if not isinstance(experiment, str):
        raise invalid("experiment_id", experiment, "the key of an experiment")
    if not isinstance(variant, str):
        raise invalid("variation_id", variant, "the key of a variant")
    return experiment, variant


def unsupported(kind: str) -> ApiError:
    """Return the refusal of a message that we have no use for."""
    return ApiError(
        400,
        "unsupported_type",
        f"type == {shown(kind)}, must be track, page, screen, identify or alias.",
        field="type",
    )


def _consent(context: dict[str, Any]) -> dict[str, Any] | None:
    """Read the spec's consent categories: those named analytics and training, in any case."""
    consent = context.get("consent")
    categories = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if not isinstance(categories, dict):
        return None
    return {str(name).lower(): allowed for name, allowed in categories.items()}


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BoundsError(name, value, "an object")
    return value


def _first(properties: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _as_text(value: Any) -> Any:
    """Ids are often numbers."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if whole and not isinstance(value, bool) else value


def _id(value: Any, name: str) -> str:
    return bounds.text(_as_text(value), name)


def _uuid(value: Any, name: str) -> str:
    try:
        return str(UUID(bounds.text(value, name)))
    except ValueError:
        raise BoundsError(name, value, "a UUID") from None
