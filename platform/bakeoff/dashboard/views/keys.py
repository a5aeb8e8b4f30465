"""Keys of a project: made, changed and revoked by its administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff import serving_keys
from bakeoff.accounts.edit_keys import KeyDraft, KeyRuleError
from bakeoff.accounts.models import ApiKey
from bakeoff.dashboard.access import ADMIN, project_for
from bakeoff.dashboard.refusals import show_refusal

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_POST
@login_required
def make_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a key; its text is shown once."""
    project = project_for(request, slug, ADMIN)
    draft = KeyDraft(
        kind=request.POST.get("kind", ""),
        name=request.POST.get("name", ""),
        scopes=request.POST.getlist("scopes") or None,
        origins=request.POST.get("origins", "").split(),
    )
    try:
        _key, text = serving_keys.make_key(project=project, draft=draft, by=str(request.user))
    except KeyRuleError as error:
        show_refusal(request, error)
        return redirect("team", slug)
    messages.success(request, _("Copy the key now, it is shown only once: %(key)s") % {"key": text})
    return redirect("team", slug)


@require_POST
@login_required
def change_key(request: HttpRequest, slug: str, key_id: int) -> HttpResponse:
    """Change what a key may do, and the pages that may use it."""
    project = project_for(request, slug, ADMIN)
    key = get_object_or_404(ApiKey, pk=key_id, project=project)
    try:
        serving_keys.change_key(
            key=key,
            by=str(request.user),
            scopes=request.POST.getlist("scopes"),
            origins=request.POST.get("origins", "").split(),
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
