"""One's own account: the codes of the second factor, and what a sign-in asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.accounts.browser_names import browser_name
from bakeoff.accounts.note_sign_in import note_session_of
from bakeoff.accounts.passkeys import MAX_NAME, RelyingParty
from bakeoff.accounts.reset_by_link import ResetError, has_password
from bakeoff.accounts.second_factor import (
    SecondFactorError,
    begin_enrolment,
    check_code,
    confirm_enrolment,
    count_recovery_codes,
    has_codes,
    has_second_factor,
    make_recovery_codes,
    pending_address,
    remove_second_factor,
    turn_off,
)
from bakeoff.accounts.sessions import open_sessions
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.pending_sign_in import PENDING, pending_person
from bakeoff.dashboard.refusals import add_refusal, show_refusal
from bakeoff.dashboard.second_factor_gate import PASSED, refuse_without_proof
from bakeoff.dashboard.team_forms import factor_form
from bakeoff.dashboard.views.team import team_page

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

BACKEND = "django.contrib.auth.backends.ModelBackend"


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "text"}),
    )


@require_safe
@login_required
def show_account(request: HttpRequest) -> HttpResponse:
    """Show the second factor and the passkeys, or how to set them up."""
    return _show(request, CodeForm())


@require_POST
@login_required
def begin(request: HttpRequest) -> HttpResponse:
    """Make the secret that the page then shows: a GET alone stores nothing."""
    if not has_codes(_person(request)) and refuse_without_proof(request):  # there are passkeys
        return redirect("account")
    try:
        begin_enrolment(_person(request))
    except SecondFactorError as error:
        show_refusal(request, error)
    return redirect("account")


@require_POST
@login_required
def set_up(request: HttpRequest) -> HttpResponse:
    """Take the first code; show the recovery codes, once."""
    if not has_codes(_person(request)) and refuse_without_proof(request):
        return redirect("account")
    form = CodeForm(request.POST)
    if form.is_valid():
        try:
            codes = confirm_enrolment(_person(request), form.cleaned_data["code"])
        except SecondFactorError as error:
            if error.field is None:  # there is nothing to confirm, so no form to show it at
                show_refusal(request, error)
                return redirect("account")
            add_refusal(form, error)
        else:
            request.session[PASSED] = True
            return render(
                request, "dashboard/account.html", {"recovery_codes": codes, "is_set_up": True}
            )
    return _show(request, form)


@require_POST
@login_required
def make_codes(request: HttpRequest) -> HttpResponse:
    """Make recovery codes in place of those from before, and show them, once."""
    if refuse_without_proof(request):
        return redirect("account")
    try:
        codes = make_recovery_codes(_person(request))
    except SecondFactorError as error:
        show_refusal(request, error)
        return redirect("account")
    return render(request, "dashboard/account.html", {"recovery_codes": codes})


@require_POST
@login_required
def switch_off(request: HttpRequest) -> HttpResponse:
    """Take one's own second factor away, by a code."""
    form = CodeForm(request.POST)
    if form.is_valid():
        try:
            turn_off(_person(request), form.cleaned_data["code"])
        except SecondFactorError as error:
            if error.field is None:  # there is no app, so no form to show it at
                show_refusal(request, error)
                return redirect("account")
            add_refusal(form, error)
        else:
            if not has_second_factor(_person(request)):
                request.session.pop(PASSED, None)
            messages.success(request, _("The second factor is removed."))
            return redirect("account")
    return _show(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
def ask_code(request: HttpRequest) -> HttpResponse:
    """Sign in who gave the right password, by a code."""
    pending = pending_person(request)
    if pending is None:
        request.session.pop(PENDING, None)
        return redirect("sign-in")
    person, target = pending
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            check_code(person, form.cleaned_data["code"])
        except SecondFactorError as error:
            add_refusal(form, error)
        else:
            request.session.pop(PENDING)
            login(request, person, backend=BACKEND)
            request.session[PASSED] = True
            return redirect(target)
    has_app = has_codes(person)
    context = {
        "form": form if has_app or count_recovery_codes(person) else None,
        "has_app": has_app,
        "passkeys": RelyingParty.of(settings.PUBLIC) is not None and person.passkeys.exists(),
    }
    return render(request, "dashboard/ask_code.html", context)


@require_POST
@login_required
def remove_of_member(request: HttpRequest, slug: str) -> HttpResponse:
    """Take away the second factor that a member lost."""
    project = project_for(request, slug, ADMIN)
    form = factor_form(request.POST)
    if not form.is_valid():
        return team_page(request, project, factor=form)
    name = form.cleaned_data["username"]
    try:
        remove_second_factor(username=name, project=project, maker=_person(request))
    except (ResetError, SecondFactorError) as error:
        form.add_error("username", str(error))
        return team_page(request, project, factor=form)
    messages.success(request, _("The second factor is removed."))
    return redirect("team", slug)


def _show(request: HttpRequest, form: CodeForm) -> HttpResponse:
    person = _person(request)
    context: dict[str, object] = {
        "form": form,
        "has_codes": has_codes(person),
        "has_second_factor": has_second_factor(person),
        "recovery_codes_left": count_recovery_codes(person),
        "passkeys": person.passkeys.order_by("pk"),
        "has_password": has_password(person),
        "can_add_passkeys": RelyingParty.of(settings.PUBLIC) is not None,
        "max_name": MAX_NAME,
        "sessions": _sessions(request, person),
    }
    if address := pending_address(person):
        # A data URI: the policy allows images of it, and no other request carries the secret.
        context |= {"address": address, "qr": segno.make(address).svg_data_uri(scale=5, border=2)}
    return render(request, "dashboard/account.html", context)


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One row of the list of sessions.

    Attributes:
        pk: of the row, by which it is ended.
        signed_in_at: when it began.
        address: whence; None where the platform did not see it.
        browser: as its header names it.
        browser_name: as people call it.
        is_current: whether it is the one that asks.
    """

    pk: int
    signed_in_at: datetime
    address: str | None
    browser: str
    browser_name: str
    is_current: bool


def _sessions(request: HttpRequest, person: User) -> list[ListedSession]:
    # One from before there was a list: its person must find it there.
    note_session_of(request, person)
    return [
        ListedSession(
            pk=one.pk,
            signed_in_at=one.signed_in_at,
            address=one.address,
            browser=one.browser,
            browser_name=browser_name(one.browser),
            is_current=one.session_key == request.session.session_key,
        )
        for one in open_sessions(person)
    ]


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the views above ask for that."""
    return cast("User", request.user)
