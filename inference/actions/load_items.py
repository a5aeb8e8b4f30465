"""Load a catalogue: new items are added, known ones replaced, and their texts queued for embedding."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db.models.functions import Now
from django.utils import timezone

from inference.models import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CHUNK = 1000  # rows a statement: few round trips, and a short transaction


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item to be written."""

    item_id: str
    title: str = ""
    text: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    vector: Sequence[float] | None = None


def load_items(
    *,
    project_id: int,
    items: Iterable[ItemDraft],
    progress: Callable[[int], None] = lambda _count: None,
) -> list[int]:
    """Write items by their ids; return the database ids of all of them, for `embed_items`."""
    rows = iter(items)
    written: list[int] = []
    while chunk := list(islice(rows, CHUNK)):
        # One statement may not touch a row twice: the last draft of an id counts.
        drafts = {draft.item_id: draft for draft in chunk}
        Item.objects.bulk_create(
            [
                Item(
                    project_id=project_id,
                    item_id=draft.item_id,
                    title=draft.title,
                    text=draft.text,
                    properties=dict(draft.properties),
                    vector=None
                    if draft.vector is None
                    else np.asarray(draft.vector, dtype="<f4").tobytes(),
                    updated_at=timezone.now(),
                    vector_due_at=Now(),  # on the database's clock, as the reconciler compares it
                )
                for draft in drafts.values()
            ],
            update_conflicts=True,
            unique_fields=["project", "item_id"],
            update_fields=["title", "text", "properties", "vector", "updated_at", "vector_due_at"],
        )
        written += Item.objects.filter(project_id=project_id, item_id__in=drafts).values_list(
            "pk", flat=True
        )
        progress(len(chunk))
    return written
