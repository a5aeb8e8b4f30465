"""Events as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis.exceptions
from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from bakeoff.event_inspector import keep_watched, read_seen
from inference.cache import cache_client

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_events(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what arrives now, what is refused and why; asking keeps the project watched."""
    project = project_for(request, slug)
    rows: list[Any] = []
    away = ""
    try:
        cache = cache_client()
        keep_watched(cache, project.pk)
        rows = read_seen(cache, project.pk)
    except redis.exceptions.RedisError as error:
        away = str(error)
    context = {"project": project, "rows": rows, "away": away}
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/event_rows.html", context)
    return render(request, "dashboard/events.html", context)
