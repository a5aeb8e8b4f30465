"""What a programme lacks, in words: it is accepted, and people should know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from experiments.metrics.spec import SERVED, why_not_items
from experiments.models import Metric
from experiments.reports.event_search import has_event

if TYPE_CHECKING:
    from experiments.models import Programme

RECENT_DAYS = 28


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
    return has_event(metric.project_id, name, since=since)
