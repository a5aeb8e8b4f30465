"""Segment's messages, read as ours: https://segment.com/docs/connections/spec/."""

from __future__ import annotations

from typing import Any

from bakeoff.gateway.errors import ApiError, invalid

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
    kind = path.removeprefix("/v1/") if path != "/v1/batch" else message.get("type")
    if not isinstance(kind, str):
        raise invalid("type", kind, "track, page, screen, identify or alias")
    return kind


def ids_of(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the ids of a message under our names; an alias's former id is the anonymous one."""
    anonymous = message.get("previousId") if kind == "alias" else message.get("anonymousId")
    return {"anonymous_id": anonymous or None, "unit_id": message.get("userId") or None}


def as_event(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a track, page or screen message as an event of ours.

    Raises:
        ApiError: properties or context are no objects, or the value is no number.
    """
    properties = _object(message, "properties")
    value = _first(properties, _VALUE)
    if isinstance(value, str):
        value = _number(value)
    event = {
        "event_id": message.get("messageId"),
        "name": message.get("event") if kind == "track" else kind,
        "item_id": _as_text(_first(properties, _ITEM)),
        "recommendation_id": properties.get("recommendation_id"),
        "value": value,
        "occurred_at": message.get("originalTimestamp") or message.get("timestamp"),
        "properties": properties,
        "consent": _consent(_object(message, "context")),
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
    properties = _object(message, "properties")
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
        f"type == '{kind[:40]}', must be track, page, screen, identify or alias.",
        field="type",
    )


def _consent(context: dict[str, Any]) -> dict[str, Any] | None:
    """Read the spec's consent categories: those named analytics and training, in any case."""
    said = context.get("consent")
    categories = said.get("categoryPreferences") if isinstance(said, dict) else None
    if not isinstance(categories, dict):
        return None
    return {str(name).lower(): allowed for name, allowed in categories.items()}


def _object(message: dict[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, value, "an object")
    return value


def _first(properties: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _as_text(value: Any) -> Any:
    """Product ids are often numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
