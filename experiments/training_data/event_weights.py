"""What a like counts in training and in the judgement of a version, by its event.

{"click": 1, "purchase": 5, "order": {"per_value": 0.1}}

An event that is not named counts 1. With `per_value` a like counts that times the event's value: of an
order, its revenue. Where there is no value above 0 it counts next to nothing.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.ingest.likes import LikeRule

FIELD = "event_weights"
PER_VALUE = "per_value"
MAX_EVENT_WEIGHT = 1e6
MIN_LIKE_WEIGHT = 1e-3  # of one like: above 0, because it is a like


class EventWeightError(ValueError):
    """Weights that break a rule; `field` names where."""

    def __init__(self, message: str, *, field: str = FIELD) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class EventWeights:
    """Weights by the name of the event.

    Attributes:
        fixed: what a like of the event counts.
        per_value: likewise, times the event's value.
    """

    fixed: Mapping[str, float] = field(default_factory=dict)
    per_value: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any, liked: Sequence[LikeRule]) -> EventWeights:
        """Read a surface's weights.

        Args:
            value: as it is stored.
            liked: what the surface counts as a like.

        Raises:
            EventWeightError: another form, an event that is no like, or a weight that is none.
        """
        if not isinstance(value, dict):
            raise EventWeightError(f"{FIELD} == {value!r:.50}, must be an object of weights by event.")
        names = sorted({rule.name for rule in liked})
        fixed, per_value = {}, {}
        for name, weight in value.items():
            if name not in names:
                close = difflib.get_close_matches(str(name), names, 1)
                hint = f" Did you mean '{close[0]}'?" if close else ""
                raise EventWeightError(
                    f"{FIELD}.{name!s:.100}: must be one of the liked events, {names}.{hint}"
                )
            if isinstance(weight, dict) and list(weight) == [PER_VALUE]:
                per_value[name] = _weight(f"{FIELD}.{name}.{PER_VALUE}", weight[PER_VALUE])
            else:
                fixed[name] = _weight(f"{FIELD}.{name}", weight)
        return cls(fixed, per_value)

    @property
    def are_stated(self) -> bool:
        """Whether any event has a weight."""
        return bool(self.fixed or self.per_value)

    def of(self, name: str, value: float | None) -> float:
        """Return what one like counts, above 0."""
        if name not in self.per_value:
            return self.fixed.get(name, 1.0)
        worth = self.per_value[name] * value if value is not None and math.isfinite(value) else 0.0
        return max(worth, MIN_LIKE_WEIGHT)


def _weight(field: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= MAX_EVENT_WEIGHT:  # false of NaN too
        form = f"a number in (0, {MAX_EVENT_WEIGHT:g}], or {{'{PER_VALUE}': NUMBER}}"
        raise EventWeightError(f"{field} == {value!r:.50}, must be {form}.")
    return float(value)
