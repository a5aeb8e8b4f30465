"""How far reviewers of feedback agree."""

from __future__ import annotations

from django.db.models import Count

from experiments.models import LabelOpinion, LabelTask, Review
from experiments.stats.agreement import Agreement, measure_agreement

MAX_PAIRS = 500  # the standard error of κ is about 0.03 then, and a page reads them at once


def reviewers_agreement(project_id: int) -> Agreement:
    """Compare the first two reviews of each piece of feedback that has at least two."""
    reviewed_twice = (
        Review.objects.filter(feedback__project=project_id)
        .values("feedback")
        .annotate(reviews=Count("id"))
        .filter(reviews__gte=2)
        .values_list("feedback", flat=True)[:MAX_PAIRS]
    )
    states: dict[int, list[str]] = {}
    # In order of their ids, so that the first and the second review stay the same two.
    for feedback, state in (
        Review.objects.filter(feedback__in=list(reviewed_twice))
        .order_by("id")
        .values_list("feedback_id", "state")
    ):
        states.setdefault(feedback, []).append(state)
    return measure_agreement([(first, second) for first, second, *_ in states.values()])


def labels_agreement(project_id: int) -> Agreement:
    """Compare the two labels of each queued text that two people have labelled."""
    decided = LabelTask.objects.filter(project=project_id).exclude(state=LabelTask.State.OPEN)
    labels: dict[int, list[str]] = {}
    for task, label in (
        LabelOpinion.objects.filter(task__in=decided.order_by("-id").values("id")[:MAX_PAIRS])
        .order_by("id")
        .values_list("task_id", "label")
    ):
        labels.setdefault(task, []).append(label)
    return measure_agreement([(first, second) for first, second, *_ in labels.values()])
