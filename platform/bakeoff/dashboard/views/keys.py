"""Keys of a project: made, changed and revoked by its administrators."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff import serving_keys
from bakeoff.accounts.edit_keys import Expiry, KeyDraft, KeyRuleError
from bakeoff.accounts.keys import end_of
from bakeoff.accounts.models import ApiKey
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.refusals import show_refusal

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse


@require_POST
@login_required
def make_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a key; its text is shown once."""
    project = project_for(request, slug, ADMIN)
    try:
        draft = KeyDraft(
            kind=request.POST.get("kind", ""),
            name=request.POST.get("name", ""),
            scopes=request.POST.getlist("scopes") or None,
            origins=request.POST.get("origins", "").split(),
            expires_at=_end_of(_day_in(request)),
        )
        _key, text = serving_keys.make_key(project=project, draft=draft, by=str(request.user))
    except KeyRuleError as error:
        show_refusal(request, error)
        return redirect("team", slug)
    messages.success(request, _("Copy the key now, it is shown only once: %(key)s") % {"key": text})
    return redirect("team", slug)


@require_POST
@login_required
def change_key(request: HttpRequest, slug: str, key_id: int) -> HttpResponse:
    """Change what a key may do, the pages that may use it, and its last day."""
    project = project_for(request, slug, ADMIN)
    key = get_object_or_404(ApiKey, pk=key_id, project=project)
    try:
        serving_keys.change_key(
            key=key,
            by=str(request.user),
            scopes=request.POST.getlist("scopes"),
            origins=request.POST.get("origins", "").split(),
            expiry=_new_expiry(request, key),
        )
    except KeyRuleError as error:
        show_refusal(request, error)
        return redirect("team", slug)
    messages.success(request, _("Saved."))
    return redirect("team", slug)


@require_POST
@login_required
def revoke_key(request: HttpRequest, slug: str, key_id: int) -> HttpResponse:
    """Make a key useless at once."""
    project = project_for(request, slug, ADMIN)
    key = get_object_or_404(ApiKey, pk=key_id, project=project)
    serving_keys.revoke_key(key=key, by=str(request.user))
    messages.success(request, _("Key %(key)s revoked.") % {"key": key})
    return redirect("team", slug)


def _day_in(request: HttpRequest) -> date | None:
    """Return the last day of a key as a browser sends it; None: no end.

    Raises:
        KeyRuleError: it is no day.
    """
    text = request.POST.get("expires", "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise KeyRuleError(
            f"expires == '{text[:20]}', must be a day such as 2027-01-31.", field="expires"
        ) from error


def _end_of(day: date | None) -> datetime | None:
    return None if day is None else end_of(day)


def _new_expiry(request: HttpRequest, key: ApiKey) -> Expiry | None:
    """Return what changes; None where the form still has the key's day: its time of day stays."""
    if "expires" not in request.POST:
        return None
    day = _day_in(request)
    if day == (key.expires_at.date() if key.expires_at is not None else None):
        return None
    return Expiry(_end_of(day))
