"""The autopilot of a surface: what it does, and with which settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.programme_form import ProgrammeForm
from experiments.actions.change_programme import CannotChangeProgrammeError, change_programme
from experiments.reports.breaker_report import breaker_lines
from experiments.reports.code_names import name_of
from experiments.reports.queue_chart import draw_queue
from experiments.reports.read_autopilot import read_autopilot
from experiments.reports.remaining import describe_seconds
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_autopilot(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the champion, what runs, the ramp, the pipeline, the queue, proposals and settings."""
    project = project_for(request, slug)
    surface = get_object_or_404(Surface, project=project, key=key)
    report = read_autopilot(surface, timezone.now())
    context = {
        "project": project,
        "surface": surface,
        "report": report,
        "queue_chart": draw_queue(report.queue),
        "breaker": breaker_lines(report.now.experiment) if report.now.experiment else [],
        "settings": list(_settings_lines(report.settings)),
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
        else:
            messages.success(request, _("Saved."))
            return redirect("autopilot", slug, key)
    context = {"form": form, "project": project, "surface": surface}
    status = 422 if request.method == "POST" else 200
    return render(request, "dashboard/autopilot_edit.html", context, status=status)


def _settings_lines(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each setting, in words."""
    yield _("Primary metric"), settings["primary_metric"] or "–"
    guardrails = (f"{one['metric']} {100 * one['margin']:.3g}%" for one in settings["guardrails"])
    yield _("Guardrails"), ", ".join(guardrails) or "–"
    yield _("Ramp"), ", ".join(map(_step_in_words, settings["ramp"]))
    yield _("Ship when"), name_of(f"autopilot {settings['ship_when'] or 'default'}")
    yield _("Approval"), name_of(f"autopilot {settings['approval']}")
    yield (
        _("Holdback"),
        _("%(share)s for %(days)s days")
        % {
            "share": f"{100 * settings['holdback_share']:.3g}%",
            "days": settings["holdback_days"],
        },
    )
    yield _("Cool-down"), _("%(days)s days") % {"days": f"{settings['cooldown_days']:g}"}
    false_trips = {"share": f"{100 * settings['breaker_alpha']:.3g}%"}
    yield (
        _("False trips of the breaker"),
        _("at most %(share)s") % false_trips if settings["breaker_alpha"] else "–",
    )
    yield _("Refits"), name_of(f"autopilot {settings['refresh']}")


def _step_in_words(step: Mapping[str, Any]) -> str:
    share, seconds = f"{100 * step['share']:.3g}%", step["minimum_seconds"]
    return f"{share} ({describe_seconds(seconds)})" if seconds else share
