"""Feedback: the queue, reviews, and what units said in an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.review_feedback import CannotReviewError, review_feedback
from experiments.kinds import FeedbackKind, FeedbackState
from experiments.models import Experiment, Feedback
from experiments.reports.feedback_report import report_feedback

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


class FeedbackQuery(Schema):
    """Which feedback: of each unit what it says now, or with `current=false` all of its history."""

    state: FeedbackState | None = None
    kind: FeedbackKind | None = None
    flag: Literal["duplicate", "burst", "undeclared"] | None = None
    current: bool = True
    before: int | None = Field(None, ge=0, le=2**63 - 1)
    limit: int = Field(100, ge=1, le=1000)


@router.get("/feedback", response={200: FeedbackPage, **REFUSALS})
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


@router.patch("/feedback/{feedback_id}", response={200: FeedbackOut, **REFUSALS})
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


@router.get("/experiments/{key}/feedback", response={200: dict[str, Any], **REFUSALS})
def show_feedback(request: HttpRequest, key: str) -> Any:
    """Show feedback by variant: response rate, counts, means, and the win rate of pairs."""
    rows = Experiment.objects.filter(project=project_of(request))
    experiment = get_or_404(rows, "experiment", key=key)
    return report_feedback(experiment)
