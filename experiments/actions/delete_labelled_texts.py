"""Delete labelled texts of a surface that classifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from bakeoff.accounts.audit import record_audit
from experiments.models import LabelTask
from experiments.models.label_tasks import OF_EXAMPLE
from inference.cache import cache_client
from inference.models import Example
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from inference.models import Surface

CHUNK = 5000  # ids a statement


@dataclass(frozen=True, slots=True)
class ExampleSelection:
    """Which examples of a surface; without any field, all of them.

    Attributes:
        ids: those of these ids; None for any id.
        since: those that were loaded at this time or later, which may have replaced older ones.
        without_text: only those whose text is empty.
    """

    ids: Sequence[str] | None = None
    since: datetime | None = None
    without_text: bool = False

    def parts(self, surface: Surface) -> Iterator[QuerySet[Example]]:
        """Yield the examples, a statement's worth of ids at a time."""
        rows = Example.objects.filter(surface=surface)
        if self.since is not None:
            rows = rows.filter(labelled_at__gte=self.since)
        if self.without_text:
            rows = rows.filter(text__regex=r"^\s*$")
        if self.ids is None:
            yield rows
            return
        ids = list(dict.fromkeys(self.ids))
        for start in range(0, len(ids), CHUNK):
            yield rows.filter(example_id__in=ids[start : start + CHUNK])

    def count(self, surface: Surface) -> int:
        """Return how many examples there are."""
        return sum(part.count() for part in self.parts(surface))


def delete_labelled_texts(*, surface: Surface, selection: ExampleSelection, by: str) -> int:
    """Delete examples for good, with reviewers' tasks of them; return how many examples there were.

    What has learnt from them stays: versions, and the snapshots of past training runs.

    Args:
        surface: whose examples.
        selection: which of them.
        by: who deletes.
    """
    with transaction.atomic():
        count = 0
        for part in selection.parts(surface):
            sources = part.annotate(source=Concat(Value(OF_EXAMPLE), F("example_id"))).values("source")
            # They hold the text and the features too.
            LabelTask.objects.filter(surface=surface, source_id__in=sources).delete()
            count += part.delete()[0]
        if count:
            record_audit(
                surface.project_id,
                actor=by,
                action="delete examples",
                subject=surface.key,
                detail={"examples": count},
            )
            transaction.on_commit(lambda: announce_change(cache_client()))
    return count
