"""Delete what judges and people said of answers, texts to label and frozen inputs, past retention."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Substr

from experiments.models import DataSetRow, Feedback, Judgement, LabelTask, SampledAnswer
from experiments.models.label_tasks import OF_ANSWER, OF_FEEDBACK
from experiments.sql import min_uuid7
from inference.models import ShadowAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.db.models import QuerySet

MAX_DELETED = 5000  # of each kind and project in a turn; the next turn deletes more


def delete_old_answers(retention: Mapping[int, int], now: datetime) -> int:
    """Delete rows older than their project keeps; return how many.

    Inputs and examples that a person loaded are nobody's request, and stay.

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
        deleted += _delete(_old_tasks(project, before))
        old = ShadowAnswer.objects.filter(answered_at__lt=before).exclude(unit_id="")
        deleted += _delete(old.filter(version__surface__project=project))
    return deleted


def _old_tasks(project: int, before: datetime) -> QuerySet[LabelTask]:
    """Return tasks that hold the text of feedback that is gone or too old, or of an old answer."""
    named = Substr(OuterRef("source_id"), len(OF_FEEDBACK) + 1)
    feedback = Feedback.objects.filter(project=project, feedback_id=named, received_at__gte=before)
    # An answer's id begins with its time, in digits that sort as texts do.
    oldest = f"{OF_ANSWER}{min_uuid7(before)}"
    return LabelTask.objects.filter(
        Q(source_id__startswith=OF_FEEDBACK) & ~Exists(feedback)
        | Q(source_id__startswith=OF_ANSWER, source_id__lt=oldest),
        project=project,
    )


def _delete(rows: QuerySet[Any]) -> int:
    ids = list(rows.values_list("pk", flat=True)[:MAX_DELETED])
    return rows.model.objects.filter(pk__in=ids).delete()[0] if ids else 0
