"""Past events from the rows of a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bakeoff.data_files.amounts import AmountColumn
from bakeoff.data_files.columns import FieldColumns, refuse_near_miss
from bakeoff.data_files.kinds import MAX_NAMED
from bakeoff.data_files.values import id_of, is_blank, properties_of
from experiments import bounds
from experiments.bounds import MAX_NAME, MAX_VALUE
from experiments.ingest.load_events import PastEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bakeoff.data_files.rows import RowStream

FIELDS = ("event_id", "name", "unit_id", "occurred_at", "item_id", "value", "properties")
OPTIONAL = frozenset(("item_id", "value", "properties"))
NUMBER = f"a number in [{-MAX_VALUE:g}, {MAX_VALUE:g}]"


class EventColumns:
    """Reads events from the rows of one file."""

    def __init__(
        self, file: Path, named: Mapping[str, str | None], *, event: str | None, has_ids: bool
    ) -> None:
        """Begin with the columns that were named.

        Args:
            file: which is read.
            named: by field of an event, the column that holds it.
            event: name of every event; None where a column has it.
            has_ids: whether a column has ids; else each row is named by its content.
        """
        self._file, self._columns = file, FieldColumns(named)
        self._event, self._has_ids = event, has_ids
        self._values = AmountColumn("value", rule=NUMBER)
        self._unread: list[str] = []
        self._now = datetime.now(UTC)

    def prepare(self, stream: RowStream) -> None:
        """Refuse a file without a column that each event needs, or that was named.

        Raises:
            DatasetError: with the columns that the file has.
        """
        unneeded = {"name"} if self._event is not None else set()
        unneeded |= set() if self._has_ids else {"event_id"}
        required = [field for field in FIELDS if field not in OPTIONAL | unneeded]
        self._columns.check(self._file, stream.columns, required)
        names = self._columns.names_of(stream.columns)
        for field in OPTIONAL - set(names):
            refuse_near_miss(self._file, names, field, f"--{field.replace('_', '-')}")
        self._values.prepare(self._file, stream, self._columns)
        self._unread = [name for name in names if name not in FIELDS or name in unneeded]

    def read(self, row: dict[str, Any]) -> PastEvent:
        """Return the event of a row.

        Raises:
            BoundsError: a value breaks a rule.
        """
        fields = self._columns.fields(row)
        value = fields.get("value")
        event = PastEvent(
            event_id=id_of(fields, "event_id") if self._has_ids else "",
            name=self._event or id_of(fields, "name", max_length=MAX_NAME),
            unit_id=id_of(fields, "unit_id"),
            item_id=None if is_blank(fields.get("item_id")) else id_of(fields, "item_id"),
            value=None if is_blank(value) else self._values.read(value),
            occurred_at=bounds.past_moment(fields.get("occurred_at"), "occurred_at", now=self._now),
            properties=properties_of(fields.get("properties")),
        )
        return event if self._has_ids else _named_by_content(event)

    def sentences(self) -> Iterator[str]:
        """Say which columns were not read."""
        if self._unread:
            more = f" and {len(self._unread) - MAX_NAMED} more" if len(self._unread) > MAX_NAMED else ""
            yield f"Columns that are not read: {', '.join(self._unread[:MAX_NAMED])}{more}."


def _named_by_content(event: PastEvent) -> PastEvent:
    """Return an event whose id is made of all that it says: the same row again is the same event."""
    content = [event.name, event.unit_id, event.item_id, event.value, event.occurred_at.isoformat()]
    packed = json.dumps([*content, event.properties], sort_keys=True, default=str).encode()
    return replace(event, event_id=hashlib.sha256(packed).hexdigest()[:32])
