"""Pages: find what is asked for, read its report, show it."""

from __future__ import annotations

import contextlib

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from bakeoff.dashboard.access import experiment_for, projects_of
from bakeoff.dashboard.run_page import page_of
from experiments.models import Decision, Experiment
from experiments.reports.experiment_report import report_on
from experiments.reports.verdict import verdict_of
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.actions.summarise_shadow import summarise_shadow
from inference.models import DriftReport, Surface, TrainingRun

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
            "drift": DriftReport.objects.filter(surface__in=surfaces)
            .order_by("surface", "-id")
            .distinct("surface")
            .select_related("surface"),
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


def _run_for(request: HttpRequest, run_id: int) -> TrainingRun:
    return get_object_or_404(
        TrainingRun.objects.select_related("surface", "version"),
        pk=run_id,
        surface__project__in=projects_of(request.user),
    )


@require_safe
@login_required
def show_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a training run: progress, loss, gate, slices, and what became of its version."""
    run = _run_for(request, run_id)
    context = {
        "page": page_of(run),
        "moves": run.version.moves.all() if run.version is not None else (),
        "shadow": str(summarise_shadow(run.version)) if run.version is not None else "",
    }
    return render(request, "dashboard/run.html", context)


@require_POST
@login_required
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Cancel a training run; one that has ended meanwhile is shown as it ended."""
    with contextlib.suppress(CannotCancelError):
        cancel_training(run=_run_for(request, run_id), by=str(request.user))
    return redirect("run", run_id)


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
