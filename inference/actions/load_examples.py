"""Load labelled texts: new ones are added, known ones replaced."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from inference.models import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

CHUNK = 1000  # rows a statement: few round trips, and a short transaction


@dataclass(frozen=True, slots=True)
class ExampleDraft:
    """A labelled text to be written.

    Attributes:
        example_id: its name; empty to name it by its content.
        text: what is labelled.
        label: its label.
        features: what else is known.
        labelled_at: when; None for now.
    """

    example_id: str
    text: str
    label: str
    features: Mapping[str, Any] = field(default_factory=dict)
    labelled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoadedExamples:
    """How many examples were new, and how many of known ids took another's place."""

    new: int
    replaced: int

    @property
    def total(self) -> int:
        """How many were written."""
        return self.new + self.replaced


def load_examples(
    *,
    surface_id: int,
    examples: Iterable[ExampleDraft],
    progress: Callable[[int], None] = lambda _count: None,
) -> LoadedExamples:
    """Write examples by their ids; of an id that is there already, the newer example stays."""
    rows, total, replaced, now = _named(examples), 0, 0, timezone.now()
    while chunk := list(islice(rows, CHUNK)):
        # One statement may not touch a row twice: the last draft of an id counts.
        drafts = {draft.example_id: draft for draft in chunk}
        replaced += Example.objects.filter(surface_id=surface_id, example_id__in=drafts).count()
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
    return LoadedExamples(new=total - replaced, replaced=replaced)


def _named(examples: Iterable[ExampleDraft]) -> Iterator[ExampleDraft]:
    """Name examples without an id by their content, and by how often it occurred before.

    So a file of another month adds to the one before, whatever its name; the same file again, or with a
    label that was corrected, replaces its rows; and a text that occurs three times counts three times.
    """
    occurrences: Counter[str] = Counter()
    for draft in examples:
        if draft.example_id:
            yield draft
            continue
        content = json.dumps([draft.text, dict(draft.features)], sort_keys=True, default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        occurrences[digest] += 1
        yield replace(draft, example_id=f"{digest}:{occurrences[digest]}")
