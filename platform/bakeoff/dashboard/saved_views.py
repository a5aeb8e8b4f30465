"""Saved views over a list: the chips, and what of them is shown now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.urls import reverse

from bakeoff.accounts.saved_views import FILTERS, MAX_NAME, query_of
from bakeoff.dashboard.access import ADMIN, ANALYST, may

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.http import HttpRequest

    from bakeoff.accounts.models import Project, SavedView


def views_over(request: HttpRequest, project: Project, name: str, key: str = "") -> dict[str, Any]:
    """Return what `saved_views.html` shows over a list.

    Args:
        request: of the list's page, with its filters.
        project: whose list.
        name: of the list.
        key: of the surface whose list it is.
    """
    query = query_of(name, request.GET.dict())
    rows = project.saved_views.filter(
        Q(owner_id=request.user.pk) | Q(shared=True), list_name=name, key=key
    )
    views = list(rows.select_related("owner"))
    shown = [one for one in views if one.query == query]
    # One's own first: of two with the same filters that is the one to change.
    shown.sort(key=lambda one: one.owner_id != request.user.pk)
    current = shown[0] if query and shown else None
    return {
        "saved": {
            "views": views,
            "address": address_of(project, name, key),
            "list": name,
            "key": key,
            "values": [(one, request.GET.get(one, "")) for one in FILTERS[name]] if query else [],
            "current": current,
            "may_change": current is not None and may_change(request.user, current),
            "may_share": may(request.user, project, ANALYST),
            "max_name": MAX_NAME,
        }
    }


def address_of(project: Project, name: str, key: str) -> str:
    """Return the address of a list."""
    return reverse(name, args=[project.slug, key] if key else [project.slug])


def may_change(person: User | AnonymousUser, view: SavedView) -> bool:
    """Whether somebody may change or delete a view: its owner, or an administrator a shared one."""
    if view.owner_id == person.pk:
        return True
    return view.shared and may(person, view.project, ADMIN)
