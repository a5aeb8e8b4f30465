"""What a project used, and what is left of its quotas: a page and a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bakeoff.accounts.usage import csv_of_usage, read_usage
from bakeoff.dashboard.access import project_for
from experiments.reports.usage_report import report_usage

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@login_required
def show_usage(request: HttpRequest, slug: str) -> HttpResponse:
    """Show usage month by month, and quotas."""
    project = project_for(request, slug)
    context = {"project": project, "report": report_usage(project, timezone.now())}
    return render(request, "dashboard/usage.html", context)


@require_safe
@login_required
def download_usage(request: HttpRequest, slug: str) -> HttpResponse:
    """Give it as CSV, a row per month."""
    project = project_for(request, slug)
    text = csv_of_usage(project, read_usage(project, timezone.now()))
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="usage-{project.slug}.csv"'
    return answer
