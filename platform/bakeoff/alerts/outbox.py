"""Write alerts: in the transaction of the fact, so that neither is there without the other.

Only the alert is written here. Who is told is looked up afterwards by a worker: subscriptions, however
many and however slow, never hold up a fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from bakeoff.alerts.models import Alert

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# As the columns are wide.
MAX_SUBJECT = 200
MAX_SUMMARY = 4000


def record_alert(
    project_id: int,
    *,
    event: str,
    subject: str,
    summary: str,
    detail: Mapping[str, Any] | None = None,
    path: str = "",
    dedupe_key: str = "",
) -> bool:
    """Write an alert; return whether it is new.

    Args:
        project_id: whose members should hear of it.
        event: one of `Alert.Event`.
        subject: what it is about: an experiment, a surface, a run; cut at 200 characters.
        summary: what happened, in a sentence; cut at 4,000 characters.
        detail: what else explains it, as JSON.
        path: of the page about it, below the platform's address: one of `pages`.
        dedupe_key: while an alert with this key is unresolved in the project, nothing is written.
            Empty: every call writes an alert.

    Raises:
        ValueError: no such event.
    """
    if event not in Alert.Event.values:
        raise ValueError(f"event == '{event}', must be one of {Alert.Event.values}.")
    alert = Alert(
        project_id=project_id,
        event=event,
        subject=subject[:MAX_SUBJECT],
        summary=summary[:MAX_SUMMARY],
        detail=dict(detail or {}),
        path=path,
        dedupe_key=dedupe_key,
    )
    if not dedupe_key:
        alert.save(force_insert=True)
        return True
    # Of two processes that notice the same at once, the constraint lets one write; an error would end
    # the transaction of the fact.
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    return Alert.objects.filter(pk=alert.pk).exists()


def resolve_alerts(dedupe_key: str, *, project_ids: Collection[int] | None = None) -> int:
    """Mark alerts of a key as over, so that the next one is written again; return how many there were.

    Args:
        dedupe_key: of the alerts.
        project_ids: of these projects; None: of all.
    """
    alerts = Alert.objects.unresolved().filter(dedupe_key=dedupe_key)
    if project_ids is not None:
        alerts = alerts.filter(project_id__in=project_ids)
    return alerts.update(resolved_at=Now())
