"""Sessions: a person ends their own, an administrator those of a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from bakeoff.accounts.reset_by_link import ResetError
from bakeoff.accounts.sessions import (
    SessionError,
    end_other_sessions,
    end_session,
    end_sessions_of,
)
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.second_factor_gate import refuse_without_proof
from bakeoff.dashboard.sign_in_throttle import MAX_ENDINGS, WITHIN_SECONDS, EndingThrottle
from bakeoff.dashboard.team_forms import sessions_form
from bakeoff.dashboard.views.team import team_page
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


@require_POST
@login_required
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a session of who is signed in."""
    if refuse_without_proof(request) or _refuse_too_many(request):
        return redirect("account")
    try:
        end_session(_person(request), pk, current=request.session.session_key)
    except SessionError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("The session is ended."))
    return redirect("account")


@require_POST
@login_required
def end_others(request: HttpRequest) -> HttpResponse:
    """End all sessions of who is signed in but this one."""
    if refuse_without_proof(request) or _refuse_too_many(request):
        return redirect("account")
    try:
        count = end_other_sessions(_person(request), current=request.session.session_key)
    except SessionError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _ended(count))
    return redirect("account")


@require_POST
@login_required
def end_of_member(request: HttpRequest, slug: str) -> HttpResponse:
    """End all sessions of a member."""
    project = project_for(request, slug, ADMIN)
    if refuse_without_proof(request) or _refuse_too_many(request):
        return redirect("team", slug)
    form = sessions_form(request.POST)
    if not form.is_valid():
        return team_page(request, project, sessions=form)
    name = form.cleaned_data["username"]
    try:
        count = end_sessions_of(username=name, project=project, maker=_person(request))
    except (ResetError, SessionError) as error:
        form.add_error("username", str(error))
        return team_page(request, project, sessions=form)
    messages.success(request, _ended(count))
    return redirect("team", slug)


def _refuse_too_many(request: HttpRequest) -> bool:
    """Say so, where this person has ended sessions too often."""
    if EndingThrottle(cache_client(), person_id=_person(request).pk).admits():
        return False
    sentence = _(
        "Too many requests to end sessions: at most %(maximum)s in %(minutes)s minutes. Wait, then try again."
    )
    messages.error(request, sentence % {"maximum": MAX_ENDINGS, "minutes": WITHIN_SECONDS // 60})
    return True


def _ended(count: int) -> str:
    sentence = ngettext("%(count)s session is ended.", "%(count)s sessions are ended.", count)
    return sentence % {"count": count}


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the views above ask for that."""
    return cast("User", request.user)
