"""Delete what judges and people said of answers, and inputs frozen from requests, past retention."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from experiments.models import DataSetRow, Judgement, SampledAnswer
from inference.models import ShadowAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.db.models import QuerySet

MAX_DELETED = 5000  # of each kind and project in a turn; the next turn deletes more


def delete_old_answers(retention: Mapping[int, int], now: datetime) -> int:
    """Delete rows older than their project keeps; return how many.

    Inputs that a person loaded are nobody's request, and stay.

    Args:
        retention: days, by project.
        now: with a time zone.
    """
    deleted = 0
    for project, days in retention.items():
        before = now - timedelta(days=days)
        for rows in (
            Judgement.objects.filter(at__lt=before),
            SampledAnswer.objects.filter(created_at__lt=before),
            DataSetRow.objects.filter(frozen_at__lt=before),
        ):
            deleted += _delete(rows.filter(project=project))
        old = ShadowAnswer.objects.filter(answered_at__lt=before).exclude(unit_id="")
        deleted += _delete(old.filter(version__surface__project=project))
    return deleted


def _delete(rows: QuerySet[Any]) -> int:
    ids = list(rows.values_list("pk", flat=True)[:MAX_DELETED])
    return rows.model.objects.filter(pk__in=ids).delete()[0] if ids else 0
