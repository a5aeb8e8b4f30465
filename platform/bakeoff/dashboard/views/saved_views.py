"""Saved views of lists: saved, renamed, shared and deleted over the list itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.accounts.saved_views import (
    FILTERS,
    ListOfPages,
    SavedViewError,
    change_view,
    delete_view,
    query_of,
    save_view,
)
from bakeoff.dashboard.access import ANALYST, may, project_for
from bakeoff.dashboard.refusals import show_page_again
from bakeoff.dashboard.saved_views import address_of, may_change
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project, SavedView


@require_POST
@login_required
def save(request: HttpRequest, slug: str) -> HttpResponse:
    """Save the filters of a list under a name."""
    project = project_for(request, slug)
    name, key = request.POST.get("list", ""), request.POST.get("key", "")
    _require_list(project, name, key)
    values = request.POST.dict()
    values = {one: values.get(f"filter-{one}", "") for one in FILTERS[name]}
    shared = _shared(request, project)
    act = partial(
        save_view,
        ListOfPages(project, name, key),
        person=_person(request),
        name=request.POST.get("name", ""),
        values=values,
        shared=shared,
    )
    address = f"{address_of(project, name, key)}?{query_of(name, values)}"
    return _act_or_refuse(request, act, _("View saved."), address=address, form="view-save")


@require_POST
@login_required
def change(request: HttpRequest, slug: str, view_id: int) -> HttpResponse:
    """Rename a view, share it or take it back."""
    project = project_for(request, slug)
    view = _view_for(request, project, view_id)
    shared = bool(request.POST.get("shared"))
    if shared != view.shared:
        shared = _shared(request, project)
    name = request.POST.get("name", "")
    act = partial(change_view, view, person=_person(request), name=name, shared=shared)
    return _act_or_refuse(request, act, _("Saved."), address=_list_of(view), form="view-change")


@require_POST
@login_required
def delete(request: HttpRequest, slug: str, view_id: int) -> HttpResponse:
    """Delete a view; its filters stay chosen."""
    project = project_for(request, slug)
    view = _view_for(request, project, view_id)
    delete_view(view, person=_person(request))
    messages.success(request, _("View deleted."))
    return redirect(_list_of(view))


def _act_or_refuse(
    request: HttpRequest, act: Callable[[], object], done: str, *, address: str, form: str
) -> HttpResponse:
    """Do what the form wants and go back to the list; or show it with the form, and why not."""
    try:
        act()
    except SavedViewError as error:
        return show_page_again(request, address, error, form=form, fields=("name", "shared"))
    messages.success(request, done)
    return redirect(address)


def _list_of(view: SavedView) -> str:
    """Return the address of the list with the filters of a view."""
    return f"{address_of(view.project, view.list_name, view.key)}?{view.query}"


def _require_list(project: Project, name: str, key: str) -> None:
    """Refuse a list that there is none of.

    Raises:
        Http404: the name or the surface's key is none.
    """
    if name not in FILTERS or bool(key) != (name == "generations"):
        raise Http404
    if key:
        get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.GENERATE)


def _view_for(request: HttpRequest, project: Project, view_id: int) -> SavedView:
    """Return a view that the person sees and may change.

    Raises:
        Http404: there is none, or it is another's own.
        PermissionDenied: it is shared by another.
    """
    rows = project.saved_views.filter(Q(owner_id=request.user.pk) | Q(shared=True))
    view = get_object_or_404(rows.select_related("project"), pk=view_id)
    if not may_change(request.user, view):
        raise PermissionDenied(_("Only its owner or an administrator may change a shared view."))
    return view


def _shared(request: HttpRequest, project: Project) -> bool:
    """Whether a view is to be shared, which analysts may do, as with reports.

    Raises:
        PermissionDenied: the role does not reach as far.
    """
    shared = bool(request.POST.get("shared"))
    if shared and not may(request.user, project, ANALYST):
        raise PermissionDenied(_("Sharing a view needs the role 'analyst' or higher."))
    return shared


def _person(request: HttpRequest) -> User:
    """Return who is signed in: the views above ask for that."""
    return cast("User", request.user)
