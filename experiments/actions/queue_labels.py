"""Queue texts for two people to label: what a model was unsure of, or what seems mislabelled."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from experiments.models import ExcludedUnit, Feedback, LabelTask, Slate
from experiments.models.label_tasks import OF_ANSWER, OF_EXAMPLE
from inference.models import Example
from inference.training.snapshot import Examples, SnapshotDestroyedError, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from inference.models import Surface, TrainingRun

RECENT = timedelta(days=7)
MAX_READ = 2000  # answers: the newest, so that a busy surface costs as much as a quiet one
MAX_QUEUED = 20  # at once: two people label that in an hour


def queue_uncertain_answers(*, surface: Surface, by: str, limit: int = MAX_QUEUED) -> int:
    """Queue the recent answers whose two best labels are closest; return how many are new.

    Left out: answers that something stood in for, that may not be learnt from, that somebody has
    corrected, of excluded units, and texts that were asked several times but for the least sure answer.
    """
    answers = Slate.objects.filter(
        surface=surface, served_at__gte=timezone.now() - RECENT, trainable=True, fallback=None
    ).order_by("-served_at")[:MAX_READ]
    excluded = set(
        ExcludedUnit.objects.filter(project=surface.project_id).values_list("unit_id", flat=True)
    )
    tasks: dict[str, LabelTask] = {}
    for answer in answers:
        text = answer.context.get("text") or ""
        if len(answer.slots) < 2 or not text or answer.unit_id in excluded:
            continue
        uncertainty = 1 - (float(answer.slots[0][1]) - float(answer.slots[1][1]))
        if text not in tasks or tasks[text].uncertainty < uncertainty:
            tasks[text] = LabelTask(
                project_id=surface.project_id, surface=surface, unit_id=answer.unit_id, text=text,
                source_id=f"{OF_ANSWER}{answer.recommendation_id}", uncertainty=uncertainty,
                features=answer.context.get("features") or {},
            )  # fmt: skip
    ranked = sorted(tasks.values(), key=lambda task: -task.uncertainty)
    return queue_tasks(
        surface, _not_corrected(surface, ranked)[:limit], by=by, what="uncertain answers"
    )


def _not_corrected(surface: Surface, tasks: list[LabelTask]) -> list[LabelTask]:
    ids = [task.source_id.removeprefix(OF_ANSWER) for task in tasks]
    corrected = {
        f"{OF_ANSWER}{one}"
        for one in Feedback.objects.filter(
            project=surface.project_id, recommendation_id__in=ids, kind=Feedback.Kind.CORRECTION
        ).values_list("recommendation_id", flat=True)
    }
    not_before = corrected | queued_before(surface, [task.source_id for task in tasks])
    return [task for task in tasks if task.source_id not in not_before]


def queued_before(surface: Surface, source_ids: Collection[str]) -> set[str]:
    """Return which sources have a task of this surface, labelled or not."""
    tasks = LabelTask.objects.filter(surface=surface, source_id__in=source_ids)
    return set(tasks.values_list("source_id", flat=True))


def queue_improbable_examples(*, run: TrainingRun, by: str) -> int:
    """Queue the loaded examples whose label a run finds improbable; return how many are new.

    A visitor's correction is that visitor's word and is reviewed as feedback; examples that were
    replaced since the run are left out.

    Raises:
        RemoteStoreError: the object store that has the training data denies, or does not answer.
    """
    view = run.version.gate.get("about", {}).get("label_noise", {}) if run.version is not None else {}
    if run.snapshot is None or not view.get("rows"):
        return 0
    try:
        examples = read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256, Examples)
    except SnapshotDestroyedError:
        return 0
    tasks = []
    for row in view["rows"]:
        place = int(row["row"])
        example = Example.objects.filter(
            surface=run.surface, text=examples.texts[place], label=row["stated"],
            features=examples.features[place],
        ).first()  # fmt: skip
        if example is not None and not examples.unit_ids[place]:
            task = LabelTask(
                project_id=run.surface.project_id,
                surface=run.surface,
                source_id=f"{OF_EXAMPLE}{example.example_id}",
                text=example.text,
                features=example.features,
                uncertainty=1 - float(row["stated_probability"]),
            )
            tasks.append(task)
    return queue_tasks(run.surface, tasks, by=by, what=f"labels to check of run {run.pk}")


def queue_tasks(surface: Surface, tasks: Sequence[LabelTask], *, by: str, what: str) -> int:
    """Store tasks of a surface and their audit entry; return how many are new."""
    with transaction.atomic():
        before = LabelTask.objects.filter(surface=surface).count()
        # What is queued already stays as it is, labelled or not.
        LabelTask.objects.bulk_create(tasks, ignore_conflicts=True)
        count = LabelTask.objects.filter(surface=surface).count() - before
        record_audit(
            surface.project_id,
            actor=by,
            action="queue labels",
            subject=surface.key,
            detail={"what": what, "count": count},
        )
    return count
