"""Whose training comes next: what a person asked for, then projects in turn.

Guarantees: a run that a person or a key asked for goes before all that the schedule or drift asked for;
among these, and among those, comes the project that has trained least recently, and of one project the
run that was queued first. A run of the schedule or of drift that has waited for `PATIENCE` counts as
asked for: keys that ask without end do not starve it. A run that trains is never interrupted for
another.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Case, F, OuterRef, Subquery, When
from django.db.models.functions import Now

from inference.models import TrainingRun

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_CANDIDATES = 50  # more than there are workers
AUTOMATIC = ("schedule", "drift")  # triggers of runs that nobody waits for
PATIENCE = timedelta(hours=6)  # of such a run


def in_turn() -> QuerySet[TrainingRun]:
    """Return the queued runs, the next one first."""
    of_project = TrainingRun.objects.filter(
        surface__project=OuterRef("surface__project"), started_at__isnull=False
    ).order_by("-started_at")
    queued = TrainingRun.objects.filter(state=TrainingRun.State.QUEUED)
    return queued.annotate(
        is_automatic=Case(
            When(trigger__in=AUTOMATIC, queued_at__gt=Now() - PATIENCE, then=1), default=0
        ),
        project_trained_at=Subquery(of_project.values("started_at")[:1]),
    ).order_by("is_automatic", F("project_trained_at").asc(nulls_first=True), "pk")


def candidates_for(run_id: int) -> list[int]:
    """Return which runs a message about one may take up, in order: a message stands for one turn.

    A run that was interrupted is taken up again by its own message. Several, as another worker may take
    the first of them at the same moment.

    Args:
        run_id: that was queued with the message.
    """
    if TrainingRun.objects.abandoned().filter(pk=run_id).exists():
        return [run_id]
    return list(in_turn().values_list("pk", flat=True)[:MAX_CANDIDATES])
