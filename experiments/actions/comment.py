"""Add, edit and delete comments on an experiment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Membership
from bakeoff.accounts.refused import RefusedError
from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import experiment_path
from experiments import bounds
from experiments.bounds import BoundsError
from experiments.models import Comment, Experiment

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_COMMENT = 4000  # about a printed page
MAX_COMMENTS = 500  # of an experiment: its report shows all of them
MAX_MENTIONED = 20
# What a username may hold. An address such as ann@shop.example mentions nobody.
_MENTION = re.compile(r"(?<![\w.+@/-])@([\w.+@-]{1,150})")


class CannotCommentError(RefusedError):
    """A comment that breaks a rule; `field` names where."""


class TooManyCommentsError(CannotCommentError):
    """The experiment has as many comments as a report shows."""


class CommentIsGoneError(CannotCommentError):
    """Somebody deleted it meanwhile."""


class NotTheAuthorError(CannotCommentError):
    """Only the author may change it; an administrator of the project may delete it."""


def add_comment(*, experiment: Experiment, text: str, author: User | None, by: str) -> Comment:
    """Append a comment, and tell members whom it mentions as @username.

    Args:
        experiment: it is about.
        text: plain text of 1 to 4,000 characters; spaces around it are left out.
        author: who says it; None of a program.
        by: who acts: the author's name, or that of a key.

    Raises:
        CannotCommentError: the text is empty or too long, or there are too many comments.
    """
    text = _checked(text)
    with transaction.atomic():
        # Of several at once, each counts those before it.
        locked = (
            Experiment.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project")
            .get(pk=experiment.pk)
        )
        count = Comment.objects.filter(experiment=locked).count()
        if count >= MAX_COMMENTS:
            raise TooManyCommentsError(f"comments == {count}, must be at most {MAX_COMMENTS}.")
        comment = Comment.objects.create(
            experiment=locked, text=text, author=author, key_name="" if author else by
        )
        _alert_mentioned(comment, locked, by=by)
        _record(comment, locked, by=by, action="comment")
    return comment


def edit_comment(*, comment: Comment, text: str, author: User | None, by: str) -> Comment:
    """Change one's own comment; members whom only the new text mentions are told.

    Args:
        comment: of a member or of a program.
        text: plain text of 1 to 4,000 characters; spaces around it are left out.
        author: who acts; None of a program.
        by: the author's name, or that of a key.

    Raises:
        NotTheAuthorError: it is somebody else's.
        CannotCommentError: the text is empty or too long.
    """
    text = _checked(text)
    with transaction.atomic():
        locked = Comment.objects.select_for_update(of=("self",)).filter(pk=comment.pk).first()
        if locked is None:  # deleted between its look-up and here
            raise CommentIsGoneError("comment, must not be deleted.")
        _require_author(locked, author, by)
        if locked.text == text:
            return locked
        locked.text, locked.edited_at = text, timezone.now()
        locked.save(update_fields=["text", "edited_at"])
        experiment = Experiment.objects.select_related("project").get(pk=locked.experiment_id)
        _alert_mentioned(locked, experiment, by=by)
        _record(locked, experiment, by=by, action="edit comment")
    return locked


def delete_comment(*, comment: Comment, author: User | None, by: str, is_admin: bool = False) -> None:
    """Delete one's own comment, or as an administrator anybody's.

    Args:
        comment: of a member or of a program.
        author: who acts; None of a program.
        by: the author's name, or that of a key.
        is_admin: whether others' may be deleted.

    Raises:
        NotTheAuthorError: it is somebody else's.
    """
    if not is_admin:
        _require_author(comment, author, by)
    with transaction.atomic():
        locked = Comment.objects.select_for_update(of=("self",)).filter(pk=comment.pk).first()
        if locked is None:  # who pressed first has deleted it
            return
        _record(locked, locked.experiment, by=by, action="delete comment")
        locked.delete()


def _require_author(comment: Comment, author: User | None, by: str) -> None:
    """Check that a comment is of the member, or of the key, who acts.

    Raises:
        NotTheAuthorError: it is somebody else's.
    """
    # A former member's comment has neither author nor key: it is nobody's.
    is_own = comment.author_id == author.pk if author is not None else comment.key_name == by
    if not is_own:
        raise NotTheAuthorError(f"author == '{comment.author_name}', must be {by}.")


def _checked(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    try:
        return bounds.text(text, "comment", max_length=MAX_COMMENT)
    except BoundsError as error:
        raise CannotCommentError(str(error), field="text") from error


def _alert_mentioned(comment: Comment, experiment: Experiment, *, by: str) -> None:
    """Note the members whom the text mentions; one alert for those whom it did not mention before."""
    # A full stop after a name is the sentence's, unless a member is called so.
    written = {name for word in _MENTION.findall(comment.text) for name in (word, word.rstrip(".-"))}
    members = Membership.objects.filter(project=experiment.project_id, user__username__in=written)
    people = [one.user for one in members.select_related("user").order_by("user")[:MAX_MENTIONED]]
    before = set(comment.mentioned.values_list("pk", flat=True))
    comment.mentioned.set(people)
    names = [
        one.get_username() for one in people if one.pk not in before and one.pk != comment.author_id
    ]
    if not names:
        return
    # Without the text: a subscriber may be outside the project.
    record_alert(
        experiment.project_id,
        event=Alert.Event.MENTION,
        subject=experiment.title,
        summary=f"{by} mentions {', '.join(names)} in a comment.",
        detail={"experiment": experiment.key, "by": by, "mentioned": names},
        path=f"{experiment_path(experiment.project.slug, experiment.key)}#comment-{comment.pk}",
    )


def _record(comment: Comment, experiment: Experiment, *, by: str, action: str) -> None:
    record_audit(
        experiment.project_id,
        actor=by,
        action=action,
        subject=experiment.key,
        detail={"comment": comment.pk},  # never its text, which may be deleted
    )
