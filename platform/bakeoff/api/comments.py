"""Comments on an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of
from bakeoff.api.draft_fields import find_experiment
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.comment import (
    MAX_COMMENT,
    CannotCommentError,
    CommentIsGoneError,
    NotTheAuthorError,
    TooManyCommentsError,
    add_comment,
    delete_comment,
    edit_comment,
)
from experiments.models import Comment

router = Router(tags=["experiments"])


class CommentIn(RequestSchema):
    """What a comment says."""

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


@router.patch("/experiments/{key}/comments/{comment_id}", response={200: CommentOut})
def change_comment(request: HttpRequest, key: str, comment_id: int, payload: CommentIn) -> Any:
    """Change a comment that this key wrote; its members are told whom only the new text mentions."""
    try:
        return edit_comment(
            comment=_comment(request, key, comment_id),
            text=payload.text,
            author=None,
            by=actor_of(request),
        )
    except NotTheAuthorError as error:
        raise Problem(403, "not_the_author", str(error)) from error
    except CommentIsGoneError as error:
        raise Problem(404, "not_found", str(error)) from error
    except CannotCommentError as error:
        raise Problem(422, "invalid_value", str(error), error.field) from error


@router.delete("/experiments/{key}/comments/{comment_id}", response={204: None})
def remove_comment(request: HttpRequest, key: str, comment_id: int) -> Any:
    """Delete a comment that this key wrote; the audit log says so, without its text."""
    try:
        delete_comment(comment=_comment(request, key, comment_id), author=None, by=actor_of(request))
    except NotTheAuthorError as error:
        raise Problem(403, "not_the_author", str(error)) from error
    return Status(204, None)


def _comment(request: HttpRequest, key: str, comment_id: int) -> Comment:
    """Find a comment on an experiment of the key's project.

    Raises:
        Problem: 404, there is no such experiment, or no such comment on it.
    """
    comments = Comment.objects.filter(experiment=find_experiment(request, key))
    return get_or_404(comments.select_related("author"), "comment", pk=comment_id)
