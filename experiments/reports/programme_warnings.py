"""What a programme lacks, in words: it is accepted, and people should know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from experiments.metrics.spec import (
    COST_OF_DECISIONS,
    FEEDBACK_PREFIX,
    SERVED,
    is_feedback,
    why_not_items,
)
from experiments.models import Event, Feedback, Metric

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models import Programme

RECENT_DAYS = 28
# No index leads from a name to its events: a page does not wait for a scan of all of them.
SEARCH_MILLISECONDS = 2000


def programme_warnings(programme: Programme) -> list[str]:
    """Return what a person should know of a programme, one sentence each; empty when nothing."""
    warnings = []
    primary = programme.primary_metric
    if primary is None:
        warnings.append("No primary metric: no automatic experiment starts.")
    elif has_recent_events(primary) is False:
        warnings.append(
            f"Primary metric '{primary.key}' has no events in the last {RECENT_DAYS} days: it cannot "
            "decide anything."
        )
    if primary is not None and programme.interleave_first and (why := why_not_items(primary)):
        warnings.append(f"Challengers are not screened by interleaving: {why}")
    keys = [guardrail.metric for guardrail in programme.parsed_guardrails]
    metrics = Metric.objects.filter(project=programme.surface.project_id, key__in=keys)
    for metric in metrics.order_by("id"):
        recent = has_recent_events(metric)
        if recent is None:
            break  # the next search would take as long
        if not recent:
            warnings.append(
                f"Guardrail '{metric.key}' has no events in the last {RECENT_DAYS} days: it cannot "
                "warn of anything."
            )
    return warnings


def has_recent_events(metric: Metric) -> bool | None:
    """Whether an event that a metric counts came in lately; None where the search takes too long."""
    name = metric.steps[-1] if metric.steps else metric.event
    if name.partition(".")[0] == SERVED:
        return True  # it counts answers, which every surface gives
    since = timezone.now() - timedelta(days=RECENT_DAYS)
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {SEARCH_MILLISECONDS}")
            return _exists(metric.project_id, name, since)
    except OperationalError:  # the statement was cancelled: there is no lack of events to read
        return None


def _exists(project_id: int, name: str, since: datetime) -> bool:
    if is_feedback(name):
        # What an answer cost is known where its label was corrected.
        kind = "correction" if name == COST_OF_DECISIONS else name.removeprefix(FEEDBACK_PREFIX)
        feedback = Feedback.objects.filter(project=project_id, kind=kind, received_at__gte=since)
        return feedback.exists()
    return Event.objects.filter(project=project_id, name=name, occurred_at__gte=since).exists()
