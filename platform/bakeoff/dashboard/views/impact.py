"""What promotions brought: a page and a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from bakeoff.dashboard.replica_pages import read_page
from experiments.reports.impact import csv_of_impact, impact_of

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@login_required
def show_impact(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the cumulative impact of a project's promotions."""
    project = project_for(request, slug)
    context = {"project": project, "impact": read_page(request, lambda: impact_of(project))}
    return render(request, "dashboard/impact.html", context)


@require_safe
@login_required
def download_impact(request: HttpRequest, slug: str) -> HttpResponse:
    """Give it as CSV, a row per surface and month."""
    project = project_for(request, slug)
    text = csv_of_impact(read_page(request, lambda: impact_of(project)))
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="impact-{project.slug}.csv"'
    return answer
