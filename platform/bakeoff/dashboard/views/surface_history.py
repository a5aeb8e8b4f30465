"""Who changed which settings of a surface: all of it, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from bakeoff.dashboard.paging import page_of
from experiments.reports.surface_history import SurfaceChange, history_of, read_change
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

MAX_LATEST = 5  # that the surface's own page shows


def latest_changes(surface: Surface) -> list[SurfaceChange]:
    """Return the newest changes of a surface's settings."""
    return [read_change(entry) for entry in history_of(surface)[:MAX_LATEST]]


@require_safe
@login_required
def show_history(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show every change of a surface's settings, newest first."""
    project = project_for(request, slug)
    surface = get_object_or_404(Surface, project=project, key=key)
    page = page_of(request, history_of(surface))
    context = {
        "project": project,
        "surface": surface,
        "page": page,
        "changes": [read_change(entry) for entry in page],
    }
    return render(request, "dashboard/surface_history.html", context)
