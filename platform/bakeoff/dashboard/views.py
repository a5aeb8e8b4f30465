"""Pages: find what is asked for, read its report, show it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import experiment_for, projects_of
from experiments.models import Decision, Experiment
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict import verdict_of
from inference.models import Surface, TrainingRun

SHOWN = 50
SDK = settings.BASE_DIR.parents[1] / "clients" / "js" / "bakeoff.js"


@require_safe
@login_required
def show_home(request: HttpRequest) -> HttpResponse:
    """List experiments, surfaces with their champions, and what was trained and decided lately."""
    projects = projects_of(request.user)
    experiments = Experiment.objects.filter(project__in=projects).select_related("project", "surface")[
        :SHOWN
    ]
    surfaces = Surface.objects.filter(project__in=projects).select_related("project")
    return render(
        request,
        "dashboard/home.html",
        {
            "experiments": [(experiment, verdict_of(experiment)) for experiment in experiments],
            "surfaces": [(surface, surface.versions.champions().first()) for surface in surfaces],
            "runs": TrainingRun.objects.filter(surface__in=surfaces).select_related(
                "surface", "version"
            )[:10],
            "decisions": Decision.objects.filter(project__in=projects).select_related(
                "surface", "promoted"
            )[:10],
        },
    )


@require_safe
@login_required
def show_report(request: HttpRequest, project: str, key: str) -> HttpResponse:
    """Show the report of one experiment, its times in the project's zone."""
    experiment = experiment_for(request.user, project, key)
    with timezone.override(experiment.project.timezone):
        return render(request, "dashboard/report.html", {"report": report_on(experiment)})


@require_safe
@login_required
def show_report_json(request: HttpRequest, project: str, key: str) -> JsonResponse:
    """Give the numbers of the report."""
    return JsonResponse(report_on(experiment_for(request.user, project, key)).as_json())


@require_safe
@cache_control(public=True, max_age=3600)
def show_sdk(request: HttpRequest) -> FileResponse:  # noqa: ARG001
    """Give the embed's script; every page of every product may load it."""
    answer = FileResponse(SDK.open("rb"), content_type="text/javascript; charset=utf-8")
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
@login_required
def show_sample(request: HttpRequest, project: str, surface: str) -> HttpResponse:
    """Show a page that embeds recommendations, as a product would."""
    found = Surface.objects.filter(
        project__in=projects_of(request.user), project__slug=project, key=surface
    ).first()
    if found is None:
        raise Http404
    context = {
        "surface": found,
        "key": request.GET.get("key", ""),
        "unit": request.GET.get("unit", "visitor-1"),
    }
    return render(request, "dashboard/sample.html", context)
