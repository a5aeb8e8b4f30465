"""Load labelled texts: new ones are added, known ones replaced."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from django.utils import timezone

from inference.actions.known_texts import KnownTexts
from inference.models import Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from inference.actions.example_draft import ExampleDraft

CHUNK = 1000  # rows a statement: few round trips, and a short transaction


@dataclass(frozen=True, slots=True)
class LoadedExamples:
    """What became of the rows of a load.

    Attributes:
        new: examples with ids that were not there.
        replaced: examples of ids that were there, which these took the place of.
        repeated: rows whose id another row of the load had before.
        skipped: rows whose text is there already under a name of another sort.
    """

    new: int
    replaced: int
    repeated: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """How many examples were written."""
        return self.new + self.replaced


def load_examples(
    *,
    surface_id: int,
    examples: Iterable[ExampleDraft],
    with_repeats: bool = True,
    progress: Callable[[int], None] = lambda _count: None,
) -> LoadedExamples:
    """Write examples by their ids; of an id that is there already, the newer example stays.

    Args:
        surface_id: learns from them.
        examples: in any order.
        with_repeats: whether a text that is there already under a name of another sort is written too.
        progress: is called with the number of rows of each chunk, after its commit.
    """
    known = None if with_repeats else KnownTexts(surface_id)
    rows, written, replaced = _named(examples), set[str](), 0
    total = skipped = 0
    now = timezone.now()
    while chunk := list(islice(rows, CHUNK)):
        accepted = [draft for draft in chunk if known is None or known.is_new(draft)]
        # One statement may not touch a row twice: the last draft of an id counts.
        drafts = {draft.example_id: draft for draft in accepted}
        fresh = drafts.keys() - written
        replaced += Example.objects.filter(surface_id=surface_id, example_id__in=fresh).count()
        _write(surface_id, drafts.values(), now)
        skipped += len(chunk) - len(accepted)
        total += len(accepted)
        written |= fresh
        progress(len(chunk))
    return LoadedExamples(
        new=len(written) - replaced,
        replaced=replaced,
        repeated=total - len(written),
        skipped=skipped,
    )


def _write(surface_id: int, drafts: Iterable[ExampleDraft], now: datetime) -> None:
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
            for draft in drafts
        ],
        update_conflicts=True,
        unique_fields=["surface", "example_id"],
        update_fields=["text", "features", "label", "labelled_at"],
    )


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
