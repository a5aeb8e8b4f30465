"""Delete alerts that nobody looks at any more, with their deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from bakeoff.accounts.models import Project
from bakeoff.alerts.models import Alert, Delivery

if TYPE_CHECKING:
    from datetime import datetime

RETENTION = timedelta(days=90)
MAX_DELETED = 5000  # of a turn: a transaction of seconds; the next turn deletes more


def delete_old_alerts(now: datetime) -> int:
    """Delete alerts of 90 days ago, or of as long ago as their project keeps rows; return how many.

    One that waits to be delivered stays, and so does one that is told once while its cause lasts: it
    would be told again.
    """
    old = Q(created_at__lt=now - RETENTION)
    shorter = Project.objects.filter(retention_days__lt=RETENTION.days)
    for days in shorter.values_list("retention_days", flat=True).distinct():
        old |= Q(project__retention_days=days, created_at__lt=now - timedelta(days=days))
    waiting = Delivery.objects.filter(alert=OuterRef("pk"), state=Delivery.State.WAITING)
    once = ~Q(dedupe_key="") & Q(resolved_at__isnull=True) & ~Q(event=Alert.Event.DIGEST)
    alerts = Alert.objects.filter(old, ~once, ~Exists(waiting), fanned_out_at__isnull=False)
    ids = list(alerts.order_by("created_at").values_list("pk", flat=True)[:MAX_DELETED])
    Alert.objects.filter(pk__in=ids).delete()
    return len(ids)
