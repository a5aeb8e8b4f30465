"""Comments at the end of a report: written, edited and deleted by members of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.dashboard.access import ADMIN, ANALYST, experiment_for, may
from bakeoff.dashboard.views.report import report_page
from experiments.actions.comment import (
    CannotCommentError,
    CommentIsGoneError,
    NotTheAuthorError,
    add_comment,
    delete_comment,
    edit_comment,
)
from experiments.models import Comment

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from experiments.models import Experiment


@require_POST
@login_required
def add(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Append a comment; one that is refused is still in its field."""
    experiment = experiment_for(request, slug, key, ANALYST)
    text = request.POST.get("text", "")
    person = cast("User", request.user)
    try:
        comment = add_comment(experiment=experiment, text=text, author=person, by=person.get_username())
    except CannotCommentError as error:
        return _refused(request, experiment, text, error)
    return _back_to(comment, slug, key)


@require_POST
@login_required
def change(request: HttpRequest, slug: str, key: str, comment_id: int) -> HttpResponse:
    """Change one's own comment, likewise."""
    experiment = experiment_for(request, slug, key, ANALYST)
    comment = get_object_or_404(Comment, pk=comment_id, experiment=experiment)
    text = request.POST.get("text", "")
    person = cast("User", request.user)
    try:
        edit_comment(comment=comment, text=text, author=person, by=person.get_username())
    except NotTheAuthorError as error:
        raise PermissionDenied(_("Only its author may change a comment.")) from error
    except CommentIsGoneError as error:
        raise Http404 from error
    except CannotCommentError as error:
        return _refused(request, experiment, text, error, comment_id=comment.pk)
    return _back_to(comment, slug, key)


@require_POST
@login_required
def remove(request: HttpRequest, slug: str, key: str, comment_id: int) -> HttpResponse:
    """Delete one's own comment; an administrator may delete any."""
    experiment = experiment_for(request, slug, key, ANALYST)
    comment = get_object_or_404(Comment, pk=comment_id, experiment=experiment)
    person = cast("User", request.user)
    try:
        delete_comment(
            comment=comment,
            author=person,
            by=person.get_username(),
            is_admin=may(person, experiment.project, ADMIN),
        )
    except NotTheAuthorError as error:
        raise PermissionDenied(
            _("Only its author or an administrator may delete a comment.")
        ) from error
    return redirect(f"{reverse('report', args=[slug, key])}#comments")


def _back_to(comment: Comment, slug: str, key: str) -> HttpResponse:
    return redirect(f"{reverse('report', args=[slug, key])}#comment-{comment.pk}")


def _refused(
    request: HttpRequest,
    experiment: Experiment,
    text: str,
    error: CannotCommentError,
    *,
    comment_id: int | None = None,
) -> HttpResponse:
    refusal = {"text": text, "problem": str(error), "comment_id": comment_id}
    return report_page(request, experiment, refused_comment=refusal, is_refused=True)
