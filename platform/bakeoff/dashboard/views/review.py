"""Feedback and its review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from bakeoff.dashboard.access import ANALYST, may, project_for
from bakeoff.dashboard.refusals import show_page_again, show_refusal
from experiments.actions.claim_review import (
    ClaimedByAnotherError,
    claim_next_review,
    feedback_to_review,
    review_claimed,
)
from experiments.actions.label_text import (
    CannotLabelError,
    label_tasks_left,
    label_text,
    next_label_task,
)
from experiments.actions.queue_feedback import (
    CannotQueueError,
    queue_feedback,
    queue_low_scores,
    queue_theme,
)
from experiments.actions.queue_labels import queue_improbable_examples, queue_uncertain_answers
from experiments.actions.rate_answer import CannotRateError, next_answer_to_rate, rate_answer
from experiments.actions.review_feedback import CannotReviewError
from experiments.models import Feedback, JudgePlan, LabelTask, SampledAnswer, Survey
from experiments.reports.feedback_counts import count_feedback
from experiments.reports.reviewed_answer import answer_of
from experiments.reports.reviewers_agreement import labels_agreement, reviewers_agreement
from inference.actions.check_labelling import labels_of
from inference.models import Surface, TrainingRun
from inference.serving.remote_store import RemoteStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project


MAX_SKIPPED = 200  # texts that one address skips: the last


def _queue_answers(request: HttpRequest, project: Project, person: str) -> None:
    surface = get_object_or_404(
        Surface, project=project, kind=Surface.Kind.CLASSIFY, key=request.POST["queue_surface"]
    )
    _tell_count(request, queue_uncertain_answers(surface=surface, by=person))


def _queue_examples(request: HttpRequest, project: Project, person: str) -> None:
    run = get_object_or_404(
        TrainingRun, pk=_number(request.POST["queue_run"]), surface__project=project
    )
    try:
        count = queue_improbable_examples(run=run, by=person)
    except RemoteStoreError as error:  # of the training data
        messages.error(request, str(error))
    else:
        _tell_count(request, count)


def _queue_entry(request: HttpRequest, project: Project, person: str) -> None:
    entry = get_object_or_404(Feedback, pk=_number(request.POST["queue_entry"]), project=project)
    surface = _named_surface(request, project)
    try:
        done = queue_feedback(surface=surface, feedback_ids=[entry.feedback_id], by=person)
    except CannotQueueError as error:
        show_refusal(request, error)
    else:
        _tell_count(request, done.queued)


def _queue_theme(request: HttpRequest, project: Project, person: str) -> None:
    surface = _named_surface(request, project)
    try:
        done = queue_theme(surface=surface, theme_id=_number(request.POST["queue_theme"]), by=person)
    except CannotQueueError as error:
        show_refusal(request, error)
    else:
        _tell_count(request, done.queued)


def _queue_survey(request: HttpRequest, project: Project, person: str) -> None:
    survey = get_object_or_404(Survey, project=project, key=request.POST["queue_survey"])
    surface = _named_surface(request, project)
    try:
        done = queue_low_scores(surface=surface, survey=survey, by=person)
    except CannotQueueError as error:
        show_refusal(request, error)
    else:
        _tell_count(request, done.queued)


def _named_surface(request: HttpRequest, project: Project) -> Surface:
    return get_object_or_404(Surface, project=project, key=request.POST.get("to", ""))


def _label_task(request: HttpRequest, project: Project, person: str) -> HttpResponse | None:
    task = get_object_or_404(LabelTask, pk=_number(request.POST["task"]), project=project)
    try:
        label_text(task=task, label=request.POST.get("label", ""), by=person)
    except CannotLabelError as error:
        address = reverse("feedback", args=[project.slug])
        return show_page_again(request, address, error, form="label", fields=("label",))
    return None


def _rate_answer(request: HttpRequest, project: Project, person: str) -> None:
    answer = get_object_or_404(SampledAnswer, pk=_number(request.POST["answer"]), project=project)
    try:
        rate_answer(answer=answer, point=_number(request.POST.get("point", "")), by=person)
    except CannotRateError as error:
        show_refusal(request, error)


def _tell_count(request: HttpRequest, count: int) -> None:
    messages.success(request, _("Texts added to the queue: %(count)s") % {"count": count})


def _labelling(request: HttpRequest, project: Project, person: str) -> dict[str, Any]:
    """Return the text to label, as far as this page's address does not skip it, and how many are left."""
    skipped = _skipped(request)
    task = next_label_task(project=project, reviewer=person, skipped=skipped)
    return {
        "task": task,
        "task_labels": sorted(labels_of(task.surface)) if task is not None else (),
        "tasks_left": label_tasks_left(project=project, reviewer=person).count(),
        "skipped": skipped,
        "skip": _joined([*skipped, *([task.pk] if task is not None else [])]),
    }


def _skipped(request: HttpRequest) -> list[int]:
    """Return the tasks that the address says this person does not want now."""
    wanted = request.GET.get("skip", "").split("-")[-MAX_SKIPPED:]
    return [number for number in map(_number, wanted) if number]


def _joined(numbers: Sequence[int]) -> str:
    return "-".join(map(str, numbers))


def _number(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 19 else 0


# What a form of the page asks for, by the field that it alone has.
LABEL_ACTS: dict[str, Callable[[HttpRequest, Project, str], HttpResponse | None]] = {
    "queue_surface": _queue_answers,
    "queue_run": _queue_examples,
    "queue_entry": _queue_entry,
    "queue_theme": _queue_theme,
    "queue_survey": _queue_survey,
    "task": _label_task,
    "answer": _rate_answer,
}


@require_http_methods(["GET", "POST"])
@login_required
def show_feedback(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what units say by kind and variant, and one text to review: its variant is hidden."""
    project = project_for(request, slug, ANALYST if request.method == "POST" else "viewer")
    person = str(request.user)
    if request.method == "POST" and LABEL_ACTS.keys() & request.POST.keys():
        act = next(name for name in LABEL_ACTS if name in request.POST)
        answer = LABEL_ACTS[act](request, project, person)
        if answer is not None:
            return answer
        # What was skipped stays skipped while the person goes on.
        address, skipped = reverse("feedback", args=[slug]), _skipped(request)
        return redirect(f"{address}?skip={_joined(skipped)}" if skipped else address)
    if request.method == "POST":
        feedback = get_object_or_404(Feedback, pk=request.POST.get("feedback") or 0, project=project)
        try:
            review_claimed(
                feedback=feedback,
                state=request.POST.get("state", ""),
                reason=request.POST.get("reason", ""),
                by=person,
            )
        except ClaimedByAnotherError:
            messages.error(request, _("Someone else is reviewing this entry."))
        except CannotReviewError as error:  # the entry stays reserved
            address = reverse("feedback", args=[slug])
            return show_page_again(request, address, error, form="review", fields=("reason",))
        return redirect("feedback", slug)
    reviews = may(request.user, project, ANALYST)
    review = claim_next_review(project=project, reviewer=person) if reviews else None
    context = {
        **(_labelling(request, project, person) if reviews else {}),
        "rates": JudgePlan.objects.filter(surface__project=project, label_share__gt=0).exists(),
        "to_rate": next_answer_to_rate(project=project, reviewer=person) if reviews else None,
        "labels_agreement": labels_agreement(project.pk),
        "classifying": Surface.objects.unarchived().filter(project=project, kind=Surface.Kind.CLASSIFY),
        "project": project,
        "counts": count_feedback(project),
        "review": review,
        "reviewed_answer": answer_of(review),
        "waiting": feedback_to_review(project).count(),
        "flagged": feedback_to_review(project)
        .exclude(flags=[])
        .exclude(reviews__reviewer=person)
        .count(),
        "agreement": reviewers_agreement(project.pk),
        "reviews": reviews,
    }
    return render(request, "dashboard/feedback.html", context)
