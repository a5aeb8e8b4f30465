"""The programme of tests: by month, what may be false, and a calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from experiments.reports.programme_charts import draw_calendar, draw_months
from experiments.reports.programme_report import read_programme_report

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_programme(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how a project's tests ended, month by month, and which ran in one month."""
    project = project_for(request, slug)
    now = timezone.now()
    report = read_programme_report(project, now, request.GET.get("month", ""))
    with timezone.override(project.timezone):  # of months and days, wherever the reader is
        context = {
            "project": project,
            "report": report,
            "months": draw_months(report.months, zone=project.timezone),
            "calendar": draw_calendar(report.calendar, now, zone=project.timezone),
        }
    return render(request, "dashboard/programme.html", context)
