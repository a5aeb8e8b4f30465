"""Queue what users said for two people to label: chosen entries, a theme's, or of low scores.

A comment, or an answer to a survey in the user's own words, is labelled itself; of a thumb, a rating,
reasons, a correction or a survey's other answers, the text whose answer they are about. An entry
is queued once. Texts of users who are erased meanwhile are not queued.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Case, Exists, OuterRef, Q, TextField, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Concat

from bakeoff.accounts.refused import RefusedError
from experiments.actions.queue_labels import MAX_QUEUED, queue_tasks, queued_before
from experiments.models import ExcludedUnit, Feedback, LabelTask, Slate, Theme
from experiments.models.label_tasks import OF_ANSWER, OF_FEEDBACK
from experiments.training_data.personal_data import lock_slates
from inference.models import Surface
from inference.plurals import verb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from django.db.models import QuerySet

    from experiments.models import Survey

MAX_ENTRIES = 100  # a call: a page of `GET /v1/feedback`
# What says something of an answer's label; what people do with a generated text does not.
_ABOUT_ANSWER = (
    Feedback.Kind.THUMB,
    Feedback.Kind.RATING,
    Feedback.Kind.REASONS,
    Feedback.Kind.CORRECTION,
    Feedback.Kind.SURVEY,
)
_CHOSEN = 1.0  # as if no label were more probable than another: what people chose comes first


class CannotQueueError(RefusedError):
    """The surface has no labels, or an entry may not or cannot be labelled."""


@dataclass(frozen=True, slots=True)
class QueuedFeedback:
    """What was queued.

    Attributes:
        queued: new in the queue.
        queued_before: there already, labelled or not; they stay as they are.
        left: of a theme, for another time: people label a few in an hour.
    """

    queued: int
    queued_before: int
    left: int = 0


def queue_feedback(*, surface: Surface, feedback_ids: Sequence[str], by: str) -> QueuedFeedback:
    """Queue entries of feedback; all of them, or where one is refused none.

    Raises:
        CannotQueueError: the surface labels nothing, or an entry is unknown, counts no more, may not
            be learnt from, or has no text.
    """
    _require_labels(surface)
    ids = list(dict.fromkeys(feedback_ids))
    if not 1 <= len(ids) <= MAX_ENTRIES:
        raise CannotQueueError(
            f"feedback == {len(ids)} entries, must be 1 to {MAX_ENTRIES}.", field="feedback"
        )
    with transaction.atomic():
        entries = {entry.feedback_id: entry for entry in _lock(surface, ids)}
        for one in ids:
            if one not in entries:
                raise CannotQueueError(
                    f"feedback == '{one:.50}', must be an entry of this project.", field="feedback"
                )
        tasks = _tasks(surface, [entries[one] for one in ids], _broken_rules(surface, entries.values()))
        new = _not_queued(surface, tasks)
        count = queue_tasks(
            surface, new, by=by, what=f"{len(ids)} {verb(len(ids), 'entry', 'entries')} of feedback"
        )
    return QueuedFeedback(count, len(tasks) - len(new))


def queue_theme(*, surface: Surface, theme_id: int, by: str) -> QueuedFeedback:
    """Queue the most typical texts of a theme that are not queued yet, some at once.

    Texts that count no more or may not be learnt from are left out.

    Args:
        surface: whose labels the texts get; the theme may be another surface's of the project.
        theme_id: of a current theme.
        by: who does it.

    Raises:
        CannotQueueError: the surface labels nothing, or the project has no such theme.
    """
    _require_labels(surface)
    themes = Theme.objects.filter(project=surface.project_id).current()
    if not themes.filter(pk=theme_id).exists():
        raise CannotQueueError(
            f"theme == {theme_id}, must be the id of a theme of this project.", field="theme"
        )
    texts = Feedback.objects.counted().filter(
        project=surface.project_id, themed__theme=theme_id, trainable=True
    )
    excluded = ExcludedUnit.objects.filter(project=surface.project_id).values("unit_id")
    texts = texts.exclude(unit_id__in=excluded).order_by("-themed__closeness", "pk")
    feedback_ids = list(texts.values_list("feedback_id", flat=True))
    queued = queued_before(surface, [_source(one) for one in feedback_ids])
    new = [one for one in feedback_ids if _source(one) not in queued]
    with transaction.atomic():
        entries = _lock(surface, new[:MAX_QUEUED])
        broken = _broken_rules(surface, entries)
        # What was taken back since it was read is gone from here; the next call brings others. The
        # most typical first again: of texts that are as urgent people label the first one first.
        places = {one: n for n, one in enumerate(new)}
        allowed = [one for one in entries if one.pk not in broken]
        allowed.sort(key=lambda one: places[one.feedback_id])
        tasks = _not_queued(surface, _tasks(surface, allowed, broken))
        count = queue_tasks(surface, tasks, by=by, what=f"theme {theme_id}")
    return QueuedFeedback(count, len(queued), len(new[MAX_QUEUED:]))


def queue_low_scores(*, surface: Surface, survey: Survey, by: str) -> QueuedFeedback:
    """Queue what users say who gave a survey a low score, the newest first, some at once.

    Their comments on the slates that they scored; and where the survey is of the surface itself, the
    texts whose answers they scored. What counts no more or may not be learnt from is left out.

    Args:
        surface: whose labels the texts get; the survey may be another surface's of the project.
        survey: with a scale.
        by: who does it.

    Raises:
        CannotQueueError: the surface labels nothing, or the survey has no scale.
    """
    _require_labels(surface)
    low = survey.parsed.low_score
    if low is None:
        raise CannotQueueError(
            f"survey == '{survey.key}' of kind '{survey.kind}', must have a scale.", field="survey"
        )
    texts = _low_scores(surface, survey, low)
    is_queued = Exists(LabelTask.objects.filter(surface=surface, source_id=OuterRef("source")))
    before, new = _count_sources(texts.filter(is_queued)), texts.exclude(is_queued)
    total, what = _count_sources(new), f"low scores of survey {survey.key}"
    seen: set[str] = set()
    count, last = 0, None
    while count < MAX_QUEUED:
        rows = new if last is None else new.filter(pk__lt=last)
        page = list(rows.values_list("pk", "feedback_id", "source")[: MAX_QUEUED - count])
        if not page:
            break
        last = page[-1][0]
        seen |= {source for _pk, _feedback_id, source in page}
        count += _queue_usable(surface, [one for _pk, one, _source in page], by=by, what=what)
    if last is None:
        queue_tasks(surface, [], by=by, what=what)  # the trail says who looked for some
    return QueuedFeedback(count, before, max(total - len(seen), 0))


def _queue_usable(surface: Surface, ids: Sequence[str], *, by: str, what: str) -> int:
    """Queue those of some entries that may still be labelled, in their order; return how many are new.

    In a transaction of its own: an erasure locks the answers of a user all at once.
    """
    places = {one: n for n, one in enumerate(ids)}
    with transaction.atomic():
        entries = _lock(surface, ids)
        broken = _broken_rules(surface, entries)
        # What was taken back since it was read is gone from here.
        allowed = [one for one in entries if one.pk not in broken]
        allowed.sort(key=lambda one: places[one.feedback_id])
        answers = _answers_of(surface, allowed)
        tasks = {
            task.source_id: task
            for one in allowed
            if (task := _task(surface, one, answers)) is not None
        }
        new = _not_queued(surface, list(tasks.values()))
        return queue_tasks(surface, new, by=by, what=what)


def _low_scores(surface: Surface, survey: Survey, low: int) -> QuerySet[Any]:
    """Return what can be labelled, the newest first, with the source of its text.

    What counts no more, may not be learnt from or has no text is left out by the query: else some of
    it in front would hide all that is older.
    """
    excluded = ExcludedUnit.objects.filter(project=surface.project_id).values("unit_id")
    counted = Feedback.objects.counted().filter(project=surface.project_id, trainable=True)
    counted = counted.exclude(unit_id__in=excluded)
    is_score = Q(kind=Feedback.Kind.SURVEY, text=survey.key, value__lte=low)
    same = counted.filter(
        is_score, recommendation_id=OuterRef("recommendation_id"), unit_id=OuterRef("unit_id")
    )
    wanted = Q(Exists(same), kind=Feedback.Kind.TEXT) & ~Q(text="")
    if survey.surface_id == surface.pk:
        answers = Slate.objects.filter(
            surface=surface, trainable=True, recommendation_id=OuterRef("recommendation_id")
        )
        with_text = answers.alias(words=KT("context__text")).filter(words__gt="")
        wanted = wanted | (is_score & Q(Exists(with_text)))
    source = Case(
        When(kind=Feedback.Kind.TEXT, then=Concat(Value(OF_FEEDBACK), "feedback_id")),
        default=Concat(Value(OF_ANSWER), Cast("recommendation_id", TextField())),
        output_field=TextField(),
    )
    return counted.filter(wanted).annotate(source=source).order_by("-pk")


def _count_sources(texts: QuerySet[Any]) -> int:
    return texts.order_by().values("source").distinct().count()


def _require_labels(surface: Surface) -> None:
    if surface.kind != Surface.Kind.CLASSIFY:
        raise CannotQueueError(
            f"surface == '{surface.key}' of kind '{surface.kind}', must be of kind 'classify'.",
            field="surface",
        )


def _lock(surface: Surface, ids: Sequence[str]) -> list[Feedback]:
    """Hold entries and their answers against deletion: an erasure then deletes their tasks too.

    Answers first, as an erasure deletes them. Two that queue one entry follow each other.
    """
    rows = Feedback.objects.filter(project=surface.project_id, feedback_id__in=ids)
    lock_slates({str(one) for one in rows.values_list("recommendation_id", flat=True)})
    return list(rows.select_for_update(no_key=True).order_by("pk"))


def _broken_rules(surface: Surface, entries: Collection[Feedback]) -> dict[int, str]:
    """Return the rule that an entry breaks, by its key; none of an entry that may be labelled."""
    rows = Feedback.objects.counted().filter(pk__in=[one.pk for one in entries])
    units = ExcludedUnit.objects.filter(
        project=surface.project_id, unit_id__in={one.unit_id for one in entries}
    )
    counted = set(rows.values_list("pk", flat=True))
    excluded = set(units.values_list("unit_id", flat=True))
    rules = {one.pk: _why_not(one, counted, excluded) for one in entries}
    return {pk: rule for pk, rule in rules.items() if rule}


def _why_not(entry: Feedback, counted: Collection[int], excluded: Collection[str]) -> str:
    """Return which rule an entry breaks, or nothing."""
    if entry.pk not in counted:
        return "must count; it was taken back, replaced, hidden or marked as spam."
    if not entry.trainable:
        return "must be of a user who consents to learning from it."
    if entry.unit_id in excluded:
        return "must be of a user who is not excluded."
    return ""


def _tasks(surface: Surface, entries: Sequence[Feedback], broken: Mapping[int, str]) -> list[LabelTask]:
    """Return a task of each text, in the order of the entries.

    Raises:
        CannotQueueError: an entry may not be labelled, or there is no text.
    """
    answers = _answers_of(surface, entries)
    tasks: dict[str, LabelTask] = {}
    for entry in entries:
        rule = broken.get(entry.pk, "")
        task = None if rule else _task(surface, entry, answers)
        if task is None:
            rule = rule or (
                f"must have a text, or be about an answer of surface '{surface.key}' to a text that "
                f"may be learnt from; its kind is '{entry.kind}'."
            )
            raise CannotQueueError(f"feedback == '{entry.feedback_id:.50}', {rule}", field="feedback")
        tasks[task.source_id] = task  # two thumbs on one answer are one text
    return list(tasks.values())


def _answers_of(surface: Surface, entries: Sequence[Feedback]) -> dict[UUID, Slate]:
    """Return the surface's answers that entries are about."""
    ids = {one.recommendation_id for one in entries}
    rows = Slate.objects.filter(recommendation_id__in=ids, surface=surface)
    return {slate.recommendation_id: slate for slate in rows}


def _task(surface: Surface, entry: Feedback, answers: dict[UUID, Slate]) -> LabelTask | None:
    """Return a task of an entry's text, or of the text whose answer it is about; None without one."""
    answer = answers.get(entry.recommendation_id)
    source, unit, text = _source(entry.feedback_id), entry.unit_id, entry.free_text
    features: dict[str, Any] = {}
    if not text and entry.kind in _ABOUT_ANSWER and answer is not None and answer.trainable:
        source, unit = f"{OF_ANSWER}{answer.recommendation_id}", answer.unit_id
        text, features = answer.context.get("text") or "", answer.context.get("features") or {}
    if not text:
        return None
    return LabelTask(
        project_id=surface.project_id, surface=surface, source_id=source, unit_id=unit, text=text,
        features=features, uncertainty=_CHOSEN,
    )  # fmt: skip


def _source(feedback_id: str) -> str:
    return f"{OF_FEEDBACK}{feedback_id}"


def _not_queued(surface: Surface, tasks: Sequence[LabelTask]) -> list[LabelTask]:
    queued = queued_before(surface, [task.source_id for task in tasks])
    return [task for task in tasks if task.source_id not in queued]
