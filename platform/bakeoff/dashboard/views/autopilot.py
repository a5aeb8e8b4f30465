"""The autopilot of a surface: what it does, and with which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.programme_form import ProgrammeForm
from bakeoff.dashboard.refusals import show_refusal
from experiments.actions.change_programme import (
    CannotChangeProgrammeError,
    ChangeAwaitsApprovalError,
    change_programme,
)
from experiments.reports.breaker_report import breaker_lines
from experiments.reports.held_chart import draw_held
from experiments.reports.lanes_chart import chart_lanes, read_lanes
from experiments.reports.queue_chart import draw_queue
from experiments.reports.read_autopilot import read_autopilot
from experiments.reports.settings_words import (
    proposed_changes,
    read_settings_history,
    settings_lines,
)
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_autopilot(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the champion, what runs, the ramp, the pipeline, the queue, proposals and settings."""
    project = project_for(request, slug)
    surface = get_object_or_404(Surface, project=project, key=key)
    now = timezone.now()
    report = read_autopilot(surface, now)
    context = {
        "project": project,
        "surface": surface,
        "report": report,
        "held": draw_held(report.now.experiment, report.ramp, now),
        "lanes": chart_lanes(read_lanes(report.pipeline, now), now),
        "queue_chart": draw_queue(report.queue),
        "breaker": breaker_lines(report.now.experiment) if report.now.experiment else [],
        "settings": list(settings_lines(report.settings)),
        "history": read_settings_history(surface),
        "proposals": [(one, proposed_changes(one)) for one in report.proposals],
    }
    return render(request, "dashboard/autopilot.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def edit_programme(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change settings; those that the person left as they were stay, whoever changed them meanwhile."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    form = ProgrammeForm(surface, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            change_programme(surface=surface, changes=form.changes(), by=str(request.user))
        except CannotChangeProgrammeError as error:
            form.refuse(error)
        except ChangeAwaitsApprovalError as error:  # the page shows the proposal
            show_refusal(request, error)
            return redirect("autopilot", slug, key)
        else:
            messages.success(request, _("Saved."))
            return redirect("autopilot", slug, key)
    context = {"form": form, "project": project, "surface": surface}
    status = 422 if request.method == "POST" else 200
    return render(request, "dashboard/autopilot_edit.html", context, status=status)
