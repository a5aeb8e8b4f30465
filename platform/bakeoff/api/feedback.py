"""Feedback: the queue, reviews, and what units said in an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.queue_feedback import (
    MAX_ENTRIES,
    CannotQueueError,
    queue_feedback,
    queue_low_scores,
    queue_theme,
)
from experiments.actions.review_feedback import CannotReviewError, review_feedback
from experiments.kinds import FeedbackKind, FeedbackState
from experiments.models import Experiment, Feedback, Survey
from experiments.reports.feedback_report import report_feedback
from experiments.reports.theme_report import report_themes
from experiments.reports.variant_themes import compare_themes
from inference.models import Surface

router = Router(tags=["feedback"])


class FeedbackOut(Schema):
    """One piece of feedback, its text redacted."""

    feedback_id: str
    recommendation_id: UUID
    item_id: str
    unit_id: str
    kind: str
    value: float | None
    text: str
    answer: str = Field(description="To a survey's question, in the user's own words, redacted.")
    tags: list[str]
    redacted: list[str]
    withdrawn: bool
    trainable: bool
    variant: str | None
    model: str | None
    position: int | None
    propensity: float | None
    state: str
    state_reason: str
    reviewed_by: str
    flags: list[str]
    received_at: datetime

    @staticmethod
    def resolve_variant(feedback: Feedback) -> str | None:
        """Name the variant."""
        return feedback.variant.key if feedback.variant else None

    @staticmethod
    def resolve_model(feedback: Feedback) -> str | None:
        """Name the version."""
        return feedback.model_version.label if feedback.model_version else None


class FeedbackPage(Schema):
    """Feedback, newest first; `next` is the cursor of the page after, or null."""

    items: list[FeedbackOut]
    next: int | None


class ReviewIn(RequestSchema):
    """A state, and why; hidden and spam need a reason."""

    state: FeedbackState
    reason: str = Field("", max_length=200)


class LabelTasksIn(RequestSchema):
    """What two people shall label: entries, the most typical texts of a theme, or of low scores."""

    feedback: list[str] | None = Field(
        None, min_length=1, max_length=MAX_ENTRIES, description="Ids of entries."
    )
    theme: int | None = Field(None, ge=1, le=2**63 - 1, description="Id of a theme.")
    survey: str | None = Field(
        None, max_length=64, description="Key of a survey with a scale: texts of those who scored low."
    )


class LabelTasksOut(Schema):
    """What was queued."""

    queued: int
    queued_before: int = Field(description="There already; they stay as they are.")
    left: int = Field(description="Texts of the theme for another call.")


class FeedbackQuery(Schema):
    """Which feedback: of each unit what it says now, or with `current=false` all of its history."""

    state: FeedbackState | None = None
    kind: FeedbackKind | None = None
    flag: Literal["duplicate", "burst", "undeclared"] | None = None
    current: bool = True
    before: int | None = Field(None, ge=0, le=2**63 - 1)
    limit: int = Field(100, ge=1, le=1000)


class GrowthOut(Schema):
    """A theme's share of the users who wrote in the last seven days, and in the 28 before."""

    recent_users: int
    recent_share: float
    before_share: float | None
    p_value: float | None = Field(description="One-sided, adjusted for all themes of the surface.")
    grows: bool


class LabelShareOut(Schema):
    """A label, such as a sentiment, among the users who wrote about a theme."""

    label: str
    users: int
    share: float = Field(description="Of the users whose texts of the theme are labelled.")
    interval: tuple[float, float] = Field(description="Of the share, 95 %.")


class ThemeOut(Schema):
    """What several users write about."""

    id: int
    title: str
    named_by: str = Field(
        description="Surface and version that wrote the title; empty where it is the first words."
    )
    words: list[str] = Field(description="The most typical first; each was used by several users.")
    texts: int
    units: int
    share: float = Field(description="Of the users who wrote, who wrote about it.")
    weeks: dict[str, int] = Field(description="Users who wrote about it, by the Monday of the week.")
    growth: GrowthOut
    first_text_at: datetime
    quotes: list[str] = Field(description="The most typical texts, redacted.")
    labels: list[LabelShareOut] = Field(
        description="By the present champion of the surface's `text_classifier`, the most frequent "
        "first."
    )


class ThemesOut(Schema):
    """The themes of a surface, the most frequent first."""

    surface: str
    texts: int
    min_texts: int = Field(description="Below it there are no themes.")
    themed: float = Field(description="Share of the texts that are in a theme.")
    weeks: dict[str, int] = Field(description="Users who wrote, by the Monday of the week.")
    read_at: datetime | None
    themes: list[ThemeOut]


class VariantThemeOut(Schema):
    """A theme in a treatment against the control: shares of exposed users who wrote about it."""

    theme: int
    title: str
    variant: str
    control_units: int
    treatment_units: int
    control: float
    treatment: float
    difference: float | None = Field(description="Treatment - control; null where too few wrote.")
    interval: tuple[float | None, float | None] | None = Field(
        description="Of the difference, 95 %, of one fixed analysis."
    )
    adjusted_p_value: float | None = Field(description="Over all themes (Benjamini and Hochberg).")


class VariantThemesOut(Schema):
    """Themes of an experiment, the most certain difference first."""

    experiment: str
    themes: list[VariantThemeOut]


@router.get("/feedback", response={200: FeedbackPage})
def list_feedback(request: HttpRequest, query: Query[FeedbackQuery]) -> Any:
    """List feedback, newest first."""
    feedback = Feedback.objects.current() if query.current else Feedback.objects.all()
    feedback = feedback.filter(project=project_of(request)).select_related("variant", "model_version")
    if query.state is not None:
        feedback = feedback.filter(state=query.state)
    if query.kind is not None:
        feedback = feedback.filter(kind=query.kind)
    if query.flag is not None:
        feedback = feedback.filter(flags__contains=[query.flag])
    if query.before is not None:
        feedback = feedback.filter(id__lt=query.before)
    rows = list(feedback.order_by("-id")[: query.limit + 1])
    more = len(rows) > query.limit
    return {"items": rows[: query.limit], "next": rows[query.limit - 1].pk if more else None}


@router.patch("/feedback/{feedback_id}", response={200: FeedbackOut})
def review(request: HttpRequest, feedback_id: str, payload: ReviewIn) -> Any:
    """Say what a piece of feedback is worth; hidden and spam count nowhere any more."""
    rows = Feedback.objects.filter(project=project_of(request))
    feedback = get_or_404(rows, "feedback", feedback_id=feedback_id)
    try:
        return review_feedback(
            feedback=feedback, state=payload.state, reason=payload.reason, by=actor_of(request)
        )
    except CannotReviewError as error:
        raise Problem(422, "cannot_review", str(error), "reason") from error


@router.post("/surfaces/{key}/label-tasks", response={200: LabelTasksOut})
def queue_label_tasks(request: HttpRequest, key: str, payload: LabelTasksIn) -> Any:
    """Queue feedback for two people to label with the labels of a surface; each entry once."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    named = (payload.feedback, payload.theme, payload.survey)
    if sum(one is not None for one in named) != 1:
        message = "Exactly one of feedback, theme and survey must be set."
        raise Problem(422, "cannot_queue", message, "feedback")
    try:
        if payload.survey is not None:
            surveys = Survey.objects.filter(project=project_of(request))
            survey = get_or_404(surveys, "survey", key=payload.survey)
            return queue_low_scores(surface=surface, survey=survey, by=actor_of(request))
        if payload.theme is not None:
            return queue_theme(surface=surface, theme_id=payload.theme, by=actor_of(request))
        ids = payload.feedback or []
        return queue_feedback(surface=surface, feedback_ids=ids, by=actor_of(request))
    except CannotQueueError as error:
        raise Problem(422, "cannot_queue", str(error), error.field) from error


@router.get("/experiments/{key}/feedback", response={200: dict[str, Any]})
def show_feedback(request: HttpRequest, key: str) -> Any:
    """Show feedback by variant: response rate, counts, means, and the win rate of pairs."""
    rows = Experiment.objects.filter(project=project_of(request))
    experiment = get_or_404(rows, "experiment", key=key)
    return report_feedback(experiment)


@router.get("/surfaces/{key}/themes", response={200: ThemesOut})
def list_themes(request: HttpRequest, key: str) -> Any:
    """List what users of a surface write about, with quotes and weekly counts."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    return report_themes(surface).as_json()


@router.get("/experiments/{key}/themes", response={200: VariantThemesOut})
def list_variant_themes(request: HttpRequest, key: str) -> Any:
    """List what users of each treatment write about more or less often than the control's."""
    rows = Experiment.objects.filter(project=project_of(request))
    experiment = get_or_404(rows, "experiment", key=key)
    return {
        "experiment": experiment.key,
        "themes": [row.as_json() for row in compare_themes(experiment)],
    }
