"""Read one piece of feedback: each kind has a value of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http import fields
from bakeoff.gateway.http.errors import invalid
from experiments.bounds import MAX_ID
from experiments.ingest.rows import FeedbackRow

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import KeyConfig

NUMBERS = {"thumb": (-1, 1), "rating": (1, 2, 3, 4, 5)}
KINDS = (*NUMBERS, "reasons", "text", "hide", "correction", "pairwise")
ANSWERS = ("a", "b", "tie", "neither")
MAX_TEXT = 4000
MAX_TAGS = 20
MAX_TAG = 64
# Tab, line feed and carriage return are writing; the others are not, nor are bidirectional overrides.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def feedback_row(key: KeyConfig, data: dict[str, Any], *, trainable: bool) -> FeedbackRow:
    """Return the row, whose unit is still to be found, and whose free text to be redacted.

    Raises:
        ApiError: a field is wrong.
    """
    kind = fields.one_of(data, "kind", KINDS)
    fields.ids(data)
    recommendation = fields.uuid(data, "recommendation_id")
    if recommendation is None:
        raise invalid("recommendation_id", None, "a UUID")
    row = FeedbackRow(
        project_id=key.project_id,
        feedback_id=fields.optional_text(data, "feedback_id") or str(uuid7()),
        recommendation_id=recommendation,
        item_id=fields.optional_text(data, "item_id") or "",
        unit_id="",
        kind=kind,
        value=None,
        text="",
        tags=[],
        redacted=[],
        withdrawn=fields.flag(data, "withdrawn", default=False),
        trainable=trainable,
        state="pending" if kind == "text" else "ok",
        received_at=datetime.now(UTC).isoformat(),
        trusted=key.kind == SECRET,
    )
    if not row.withdrawn:
        _read_value(row, data)
    return row


def _read_value(row: FeedbackRow, data: dict[str, Any]) -> None:
    value = data.get("value")
    if row.kind in NUMBERS:
        row.value = _number(row.kind, data)
    elif row.kind == "reasons":
        row.tags = _tags(value)
    elif row.kind == "text":
        row.text = _text(value, MAX_TEXT)
    elif row.kind == "correction":
        row.text = _text(value, MAX_ID)
    elif row.kind == "pairwise":
        row.text = fields.one_of(data, "value", ANSWERS)
    else:
        row.value = 1.0  # hide says all with its kind


def _number(kind: str, data: dict[str, Any]) -> float:
    allowed = NUMBERS[kind]
    value = fields.number(data, "value")
    if value is None or value not in allowed:
        raise invalid("value", data.get("value"), f"one of {allowed} for a {kind}")
    return value


def _text(value: Any, max_length: int) -> str:
    if (
        not isinstance(value, str)
        or not 1 <= len(value.strip()) <= max_length
        or len(value) > 2 * max_length
    ):
        shown = f"{len(value)} characters" if isinstance(value, str) else value
        raise invalid("value", shown, f"a text of 1 to {max_length} characters")
    if found := _CONTROL.search(value):
        raise invalid("value", f"U+{ord(found.group()):04X}", "a text without control characters")
    return value.strip()


def _tags(value: Any) -> list[str]:
    rule = f"a list of 1 to {MAX_TAGS} tags of 1 to {MAX_TAG} characters"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TAGS:
        raise invalid("value", value, rule)
    for tag in value:
        if not isinstance(tag, str) or not 1 <= len(tag) <= MAX_TAG or _CONTROL.search(tag):
            raise invalid("value", tag, rule)
    return list(dict.fromkeys(value))
