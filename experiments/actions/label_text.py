"""A person labels a queued text; what two people agree on becomes an example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Substr
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.models import Feedback, LabelOpinion, LabelTask
from experiments.models.label_tasks import OF_EXAMPLE, OF_FEEDBACK
from inference.actions.check_labelling import labels_of
from inference.models import Example
from inference.serving.folded_labels import fold_label

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project

REVIEWERS = 2


class CannotLabelError(RefusedError):
    """The label is unknown, or the text is decided already."""


def label_tasks_left(*, project: Project, reviewer: str) -> QuerySet[LabelTask]:
    """Return the open texts that this person has not labelled, the most uncertain first.

    Feedback that was taken back, hidden or deleted since it was queued is not shown.
    """
    named = Substr(OuterRef("source_id"), len(OF_FEEDBACK) + 1)
    counts = Feedback.objects.counted().filter(project=project, feedback_id=named)
    waiting = LabelTask.objects.filter(
        ~Q(source_id__startswith=OF_FEEDBACK) | Exists(counts),
        project=project,
        state=LabelTask.State.OPEN,
    )
    return waiting.exclude(opinions__reviewer=reviewer).order_by("-uncertainty", "id")


def next_label_task(
    *, project: Project, reviewer: str, skipped: Collection[int] = ()
) -> LabelTask | None:
    """Return the first of the texts left to this person but for those skipped; None if none."""
    left = label_tasks_left(project=project, reviewer=reviewer).exclude(pk__in=skipped)
    return left.select_related("surface").first()


def label_text(*, task: LabelTask, label: str, by: str) -> LabelTask:
    """Store a person's label; the second one decides.

    Raises:
        CannotLabelError: the label is none of the surface's, or two people have labelled the text.
    """
    spelling = {fold_label(known): known for known in labels_of(task.surface)}
    if fold_label(label) not in spelling:
        raise CannotLabelError(
            f"label == '{label:.50}', must be one of the surface's labels.", field="label"
        )
    with transaction.atomic():
        # Two people may send the second opinion at once: one of them is the third, and is refused.
        task = LabelTask.objects.select_for_update(no_key=True).get(pk=task.pk)
        if task.state != LabelTask.State.OPEN:
            raise CannotLabelError(f"task == {task.pk}, must be open; it is {task.state}.")
        LabelOpinion.objects.update_or_create(
            task=task, reviewer=by, defaults={"label": spelling[fold_label(label)]}
        )
        opinions = list(task.opinions.order_by("id").values_list("label", flat=True))
        if len(opinions) >= REVIEWERS:
            _decide(task, opinions)
        record_audit(
            task.project_id,
            actor=by,
            action="label",
            subject=f"text {task.pk}",
            detail={"label": spelling[fold_label(label)], "state": task.state},
        )
    return task


def _decide(task: LabelTask, opinions: list[str]) -> None:
    agreed = len(set(opinions)) == 1
    task.state = LabelTask.State.AGREED if agreed else LabelTask.State.DISPUTED
    task.label = opinions[0] if agreed else ""
    task.decided_at = timezone.now()
    task.save(update_fields=["state", "label", "decided_at"])
    if agreed and task.source_id.startswith(OF_EXAMPLE):
        named = Example.objects.filter(
            surface=task.surface, example_id=task.source_id.removeprefix(OF_EXAMPLE), text=task.text
        )
        named.update(label=task.label)
