"""What the gateway hands to the database. Times are ISO 8601 strings, ids are the database's.

The fields are the columns of their tables; `columns_of` says so to statements.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Item, score, rank, propensity, explored; among how many the rank is, where each slot is a draw; and
# the chance that the slot was one for new items, or for the others, where that was drawn.
SlotRow = (
    tuple[str, float, int, float, bool]
    | tuple[str, float, int, float, bool, int]
    | tuple[str, float, int, float, bool, int | None, float]
)


@dataclass(slots=True)
class SlateRow:
    """One served answer; the fields are the columns of `experiments_slate`."""

    recommendation_id: str
    project_id: int
    surface_id: int
    unit_id: str
    experiment_id: int | None
    variant_id: int | None
    model_version_id: int | None
    reason: str
    fallback: str | None
    forced: bool
    variant_weight: float | None
    slots: Sequence[SlotRow]
    candidate_count: int
    candidate_hash: str
    exploration: float
    latency_ms: float
    context: dict[str, Any]
    served_at: str
    trainable: bool = True
    pair: dict[str, Any] | None = None
    cost: float = 0.0
    generation: dict[str, Any] | None = None
    draft: dict[str, Any] | None = None


@dataclass(slots=True)
class ExposureRow:
    """A unit met a variant."""

    project_id: int
    experiment_id: int
    variant_id: int
    epoch: int
    unit_id: str
    unit_type: str
    exposed_at: str
    source: str = "served"


@dataclass(slots=True)
class QuarantinedRow:
    """An exposure that a public key claims and the rule does not give: kept aside, never counted."""

    project_id: int
    experiment_id: int
    variant_id: int
    epoch: int
    unit_id: str
    exposed_at: str
    reason: str


@dataclass(slots=True)
class EventRow:
    """What a unit did."""

    project_id: int
    event_id: str
    name: str
    unit_id: str
    item_id: str | None
    recommendation_id: str | None
    value: float | None
    occurred_at: str
    received_at: str
    properties: dict[str, Any]
    source: str
    claimed_at: str | None = None
    trainable: bool = True
    trusted: bool = False
    # No column: whether a recommendation is to be found for it.
    credit: bool = field(default=False, metadata={"stored": False})


@dataclass(slots=True)
class FeedbackRow:
    """What a unit said."""

    project_id: int
    feedback_id: str
    recommendation_id: str
    item_id: str
    unit_id: str
    kind: str
    value: float | None
    text: str
    tags: list[str]
    redacted: list[str]
    withdrawn: bool
    trainable: bool
    state: str
    received_at: str
    trusted: bool = False
    answer: str = ""


@dataclass(slots=True)
class ExclusionRow:
    """A unit that is left out of analysis."""

    project_id: int
    unit_id: str
    reason: str


@dataclass(slots=True)
class Rows:
    """What one request wants committed together."""

    slates: list[SlateRow] = field(default_factory=list)
    exposures: list[ExposureRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    feedback: list[FeedbackRow] = field(default_factory=list)
    exclusions: list[ExclusionRow] = field(default_factory=list)
    quarantined: list[QuarantinedRow] = field(default_factory=list)


KINDS = ("slates", "exposures", "events", "feedback", "exclusions", "quarantined")

_SQL_TYPES = {
    "int": "bigint",
    "float": "float8",
    "bool": "boolean",
    "str": "text",
    "list[str]": "text[]",
}


def columns_of(row: type) -> dict[str, str]:
    """Return the columns of a row's table, each with its type, in the order of the fields."""
    return {one.name: _sql_type(one.name, str(one.type)) for one in fields(row) if is_stored(one)}


def is_stored(one: Field[Any]) -> bool:
    """Whether a field of a row is a column of its table."""
    return bool(one.metadata.get("stored", True))


def _sql_type(name: str, annotation: str) -> str:
    if name.endswith("_at"):
        return "timestamptz"
    if name == "recommendation_id":
        return "uuid"
    return _SQL_TYPES.get(annotation.removesuffix(" | None"), "jsonb")
