"""Passkeys: add and remove one's own, and sign in by one, alone or after the password."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import Http404, JsonResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.accounts.passkeys import (
    PasskeyError,
    RelyingParty,
    add_passkey,
    begin_adding,
    begin_sign_in,
    check_passkey,
    id_of_passkey,
    remove_passkey,
)
from bakeoff.accounts.second_factor import has_second_factor
from bakeoff.dashboard.passkey_challenge import ADD, SIGN_IN, set_challenge, take_challenge
from bakeoff.dashboard.pending_sign_in import PENDING, pending_person
from bakeoff.dashboard.refusals import show_page_again, show_refusal
from bakeoff.dashboard.second_factor_gate import PASSED, owes_proof, refuse_without_proof
from bakeoff.dashboard.sign_in_throttle import MAX_FAILURES, WITHIN_SECONDS, SignInThrottle
from experiments.reports.stored_text import end_sentence, show_stored
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

BACKEND = "django.contrib.auth.backends.ModelBackend"
MAX_NEXT = 2000  # characters


@require_POST
def sign_in_options(request: HttpRequest) -> JsonResponse:
    """Return what the browser asks a key for; after a right password, for that person's keys."""
    pending = _pending(request)
    options, challenge = begin_sign_in(_party(), pending[0] if pending else None)
    set_challenge(request, SIGN_IN, challenge)
    return JsonResponse(options)


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in whose passkey answered."""
    party, pending = _party(), _pending(request)
    challenge, _handle = take_challenge(request, SIGN_IN)
    answer, target = request.POST.get("credential", ""), request.POST.get("next", "")[:MAX_NEXT]
    credential_id = id_of_passkey(answer)
    throttle = SignInThrottle(
        cache_client(),
        address=request.META.get("REMOTE_ADDR", ""),
        name=f"passkey {credential_id}",
    )
    if not throttle.admits():
        messages.error(
            request,
            _(
                "Too many failed attempts: at most %(maximum)s in %(minutes)s minutes. Wait, then try again."
            )
            % {"maximum": MAX_FAILURES, "minutes": WITHIN_SECONDS // 60},
        )
        return _back(pending is not None, target)
    try:
        person = check_passkey(
            party,
            credential_id=credential_id,
            challenge=challenge,
            answer=answer,
            person=pending[0] if pending else None,
        )
    except PasskeyError as error:
        show_refusal(request, error)
        return _back(pending is not None, target)
    throttle.succeeded()
    request.session.pop(PENDING, None)
    login(request, person, backend=BACKEND)
    request.session[PASSED] = True  # the key checked its person, so it is both factors
    target = pending[1] if pending else target
    hosts = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(target, hosts, require_https=request.is_secure())
    return redirect(target if safe else resolve_url(settings.LOGIN_REDIRECT_URL))


@require_POST
@login_required
def adding_options(request: HttpRequest) -> JsonResponse:
    """Return what the browser makes a key from, or why the account gets none."""
    party = _party()
    if owes_proof(request):
        return _refusal(_("Sign out, sign in with your second factor, then try again."))
    try:
        options, challenge, handle = begin_adding(_person(request), party)
    except PasskeyError as error:
        return _refusal(end_sentence(show_stored(str(error))))
    set_challenge(request, ADD, challenge, handle)
    return JsonResponse(options)


@require_POST
@login_required
def add(request: HttpRequest) -> HttpResponse:
    """Store the public half of a new key."""
    party = _party()
    challenge, handle = take_challenge(request, ADD)
    if refuse_without_proof(request):
        return redirect("account")
    try:
        add_passkey(
            _person(request), party, name=request.POST.get("name", ""), challenge=challenge,
            handle=handle, answer=request.POST.get("credential", ""),
        )  # fmt: skip
    except PasskeyError as error:
        return show_page_again(request, reverse("account"), error, form="passkey", fields=("name",))
    request.session[PASSED] = True
    messages.success(request, _("The passkey is added."))
    return redirect("account")


@require_POST
@login_required
def remove(request: HttpRequest, passkey_id: int) -> HttpResponse:
    """Take one's own passkey away."""
    if not refuse_without_proof(request):
        remove_passkey(_person(request), passkey_id)
        if not has_second_factor(_person(request)):
            request.session.pop(PASSED, None)
        messages.success(request, _("The passkey is removed."))
    return redirect("account")


def _party() -> RelyingParty:
    party = RelyingParty.of(settings.PUBLIC)
    if party is None:
        raise Http404
    return party


def _pending(request: HttpRequest) -> tuple[User, str] | None:
    """Return who gave the right password before, where the page that asks is the one after it."""
    return pending_person(request) if request.POST.get("after_password") else None


def _back(pending: bool, target: str) -> HttpResponse:  # noqa: FBT001
    if pending:
        return redirect("second-factor")
    return redirect(f"{reverse('sign-in')}?{urlencode({'next': target})}" if target else "sign-in")


def _refusal(sentence: str) -> JsonResponse:
    return JsonResponse({"detail": sentence}, status=422)


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the views above ask for that."""
    return cast("User", request.user)
