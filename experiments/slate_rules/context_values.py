"""Values of a request in the places of a filter that name them: `{"$lte": {"$context": "budget"}}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.serving.composed_text import composed

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class _Left:
    """Stands for a part that names a value which the request does not have."""


_LEFT_OUT = _Left()


def fill(condition: Any, context: Mapping[str, Any]) -> Any:
    """Put the request's values in their places, and leave out what names one that it does not have."""
    filled = _filled(condition, context)
    return {} if filled is _LEFT_OUT else filled


def _filled(value: Any, context: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$context"}:
            return context.get(value["$context"], _LEFT_OUT)
        parts = {key: _filled(one, context) for key, one in value.items()}
        left = {key: one for key, one in parts.items() if one is not _LEFT_OUT}
        return left if left or not value else _LEFT_OUT
    if isinstance(value, list):
        items = [one for one in (_filled(one, context) for one in value) if one is not _LEFT_OUT]
        return items if items or not value else _LEFT_OUT
    return value


def composed_condition(condition: Any) -> Any:
    """Return a filter whose texts and paths are composed, as items' are; ids stay as they are sent."""
    if isinstance(condition, dict):
        return {
            composed(name): one if name in {"item_id", "$context"} else composed_condition(one)
            for name, one in condition.items()
        }
    if isinstance(condition, list):
        return [composed_condition(one) for one in condition]
    return composed(condition)
