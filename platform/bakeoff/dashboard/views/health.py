"""The platform's health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import projects_of
from bakeoff.dashboard.health import health_issues
from bakeoff.dashboard.platform_health import platform_health

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_health(request: HttpRequest) -> HttpResponse:
    """Show the platform's queues, processes and storage, and each project's troubles."""
    projects = projects_of(request.user)
    health = platform_health(projects)
    context = {
        "health": health,
        "health_issues": [
            *health["health_issues"],
            *(issue for project in projects[:50] for issue in health_issues(project)),
        ],
    }
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/health_parts.html", context)
    return render(request, "dashboard/health.html", context)
