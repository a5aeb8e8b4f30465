"""Comments on an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of
from bakeoff.api.draft_fields import find_experiment
from bakeoff.api.errors import Problem
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.comment import (
    MAX_COMMENT,
    CannotCommentError,
    TooManyCommentsError,
    add_comment,
)
from experiments.models import Comment

router = Router(tags=["experiments"])


class CommentIn(RequestSchema):
    """A new comment."""

    text: str = Field(
        min_length=1,
        max_length=MAX_COMMENT,
        description="Plain text; @username tells a member of the project.",
    )


class CommentOut(Schema):
    """A comment."""

    id: int
    author: str | None = Field(description="A username or a key; null: the account is gone.")
    text: str
    mentioned: list[str] = Field(description="Usernames of members whom it mentions.")
    created_at: datetime
    edited_at: datetime | None

    @staticmethod
    def resolve_author(comment: Comment) -> str | None:
        """Name the author."""
        return comment.author_name or None

    @staticmethod
    def resolve_mentioned(comment: Comment) -> list[str]:
        """Name whom it mentions."""
        return sorted(person.get_username() for person in comment.mentioned.all())


@router.get("/experiments/{key}/comments", response={200: list[CommentOut]})
def list_comments(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the comments on an experiment, the oldest first."""
    comments = Comment.objects.filter(experiment=find_experiment(request, key)).select_related("author")
    return page_of(
        request, comments.prefetch_related("mentioned"), CommentOut, limit=limit, offset=offset
    )


@router.post("/experiments/{key}/comments", response={201: CommentOut})
def comment(request: HttpRequest, key: str, payload: CommentIn) -> Any:
    """Say something about an experiment; it stands in the name of the key."""
    experiment = find_experiment(request, key)
    try:
        added = add_comment(experiment=experiment, text=payload.text, author=None, by=actor_of(request))
    except TooManyCommentsError as error:
        raise Problem(409, "too_many", str(error)) from error
    except CannotCommentError as error:
        raise Problem(422, "invalid_value", str(error), error.field) from error
    return Status(201, added)
