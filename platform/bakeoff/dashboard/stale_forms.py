"""What a browser gets whose form carries an old token: the form was opened before someone signed in."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from bakeoff.dashboard.second_factor_gate import owes_code
from bakeoff.dashboard.signing_in import SignIn

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_SIGN_IN = "/sign-in/"  # below it: code, passkey, organization


def refuse_stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  Django logs it
    """Answer in place of Django's bare page (CSRF_FAILURE_VIEW): nothing was stored, the text is kept.

    Signing in gives the browser a new token, so every form in its other tabs is refused once. The page
    carries a mark on which kept-form.js leads back to the form and fills it. A second form to sign in
    leads on instead: its person is signed in already.
    """
    if owes_code(request):
        return redirect("account")  # the layout of a page names projects
    if request.user.is_authenticated and request.path_info.startswith(_SIGN_IN):
        return redirect(_next_of(request))
    context = {"back": _page_before(request), "sends_cookies": bool(request.COOKIES)}
    return render(request, "dashboard/stale_form.html", context, status=HTTPStatus.FORBIDDEN)


def _next_of(request: HttpRequest) -> str:
    view = SignIn()
    view.setup(request)
    return view.get_success_url()  # checks that the address is of this site


def _page_before(request: HttpRequest) -> str:
    """Return where the form was; without a script this is the way back to an empty one."""
    before = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(before)
        # A path that starts with two strokes would be another site's address.
        return "/" + parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
    return reverse("home")
