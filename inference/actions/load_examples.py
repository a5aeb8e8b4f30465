"""Load labelled texts: new ones are added, known ones changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from inference.models import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

CHUNK = 1000


@dataclass(frozen=True, slots=True)
class ExampleDraft:
    """A labelled text to be."""

    example_id: str
    text: str
    label: str
    features: Mapping[str, Any] = field(default_factory=dict)
    labelled_at: datetime | None = None


def load_examples(
    *,
    surface_id: int,
    examples: Iterable[ExampleDraft],
    progress: Callable[[int], None] = lambda _count: None,
) -> int:
    """Write examples by their ids; return how many there were."""
    rows, total, now = iter(examples), 0, timezone.now()
    while chunk := list(islice(rows, CHUNK)):
        # One statement may not touch a row twice: the last draft of an id counts.
        drafts = {draft.example_id: draft for draft in chunk}
        Example.objects.bulk_create(
            [
                Example(
                    surface_id=surface_id,
                    example_id=draft.example_id,
                    text=draft.text,
                    features=dict(draft.features),
                    label=draft.label,
                    labelled_at=draft.labelled_at or now,
                )
                for draft in drafts.values()
            ],
            update_conflicts=True,
            unique_fields=["surface", "example_id"],
            update_fields=["text", "features", "label", "labelled_at"],
        )
        total += len(drafts)
        progress(len(chunk))
    return total
