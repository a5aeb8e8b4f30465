"""Keys of a project: made, changed and revoked by its administrators."""

from __future__ import annotations

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
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.team_forms import KEY_PLACES, NewKeyForm, key_form
from bakeoff.dashboard.views.team import team_page

if TYPE_CHECKING:
    from datetime import date, datetime

    from django.http import HttpRequest, HttpResponse

    from bakeoff.dashboard.team_forms import KeyForm


@require_POST
@login_required
def make_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a key; its text is shown once."""
    project = project_for(request, slug, ADMIN)
    form = NewKeyForm(request.POST, auto_id="key-%s")
    if not form.is_valid():
        return team_page(request, project, new_key=form)
    draft = KeyDraft(
        kind=form.cleaned_data["kind"],
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"] or None,
        origins=form.origins_listed(),
        expires_at=_end_of(form.cleaned_data["expires"]),
    )
    try:
        _key, text = serving_keys.make_key(project=project, draft=draft, by=str(request.user))
    except KeyRuleError as error:
        add_refusal(form, error, places=KEY_PLACES)
        return team_page(request, project, new_key=form)
    messages.success(request, _("Copy the key now, it is shown only once: %(key)s") % {"key": text})
    return redirect("team", slug)


@require_POST
@login_required
def change_key(request: HttpRequest, slug: str, key_id: int) -> HttpResponse:
    """Change what a key may do, the pages that may use it, and its last day."""
    project = project_for(request, slug, ADMIN)
    key = get_object_or_404(ApiKey, pk=key_id, project=project)
    form = key_form(key, request.POST)
    if not form.is_valid():
        return team_page(request, project, **{f"key_{key.pk}": form})
    try:
        serving_keys.change_key(
            key=key,
            by=str(request.user),
            scopes=form.cleaned_data["scopes"],
            origins=form.origins_listed(),
            expiry=_new_expiry(form, key),
        )
    except KeyRuleError as error:
        add_refusal(form, error, places=KEY_PLACES)
        return team_page(request, project, **{f"key_{key.pk}": form})
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


def _end_of(day: date | None) -> datetime | None:
    return None if day is None else end_of(day)


def _new_expiry(form: KeyForm, key: ApiKey) -> Expiry | None:
    """Return what changes; None where the form still has the key's day: its time of day stays."""
    if "expires" not in form.data:
        return None
    day = form.cleaned_data["expires"]
    if day == (key.expires_at.date() if key.expires_at is not None else None):
        return None
    return Expiry(_end_of(day))
