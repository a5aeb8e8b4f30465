"""Training runs: started, followed, cancelled."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for, projects_of, require
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.run_comparison import compare_runs, others_of
from bakeoff.dashboard.run_list import METRICS, SORTS, RunFilter
from bakeoff.dashboard.run_page import page_of as run_page
from bakeoff.dashboard.saved_views import views_over
from bakeoff.dashboard.training_form import TrainingForm
from experiments.actions.retrain_surface import retrain_surface
from experiments.reports.label_noise import csv_of_noise, label_noise_of
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.actions.queue_training import CannotTrainError
from inference.actions.summarise_shadow import summarise_shadow
from inference.algorithms import default_algorithm, startable
from inference.models import Surface, TrainingRun
from inference.models.run_log import MAX_LINES
from inference.training.waiting import waiting_of

if TYPE_CHECKING:
    from django.http import HttpRequest

MAX_DIGITS = 18  # of an id: the database refuses larger numbers than a bigint


@require_safe
@login_required
def list_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """List training runs by surface, algorithm and status, in the order that the address says."""
    project = project_for(request, slug)
    chosen = RunFilter.parse(request.GET)
    every = TrainingRun.objects.filter(surface__project=project)
    context = {
        "chosen": chosen,
        "project": project,
        "surfaces": project.surfaces.order_by("key").values_list("key", flat=True),
        # Of a large table the values are few: the choices are what there is.
        "algorithms": list(every.order_by("algorithm").values_list("algorithm", flat=True).distinct()),
        "states": TrainingRun.State.values,
        "sorts": SORTS.items(),
        "metrics": METRICS,
        "page": page_of(request, chosen.runs(project)),
        **views_over(request, project, "runs"),
    }
    return render(request, "dashboard/runs.html", context)


@require_POST
@login_required
def train(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Queue a training run on what was recorded."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    encoder = request.POST.get("encoder", "")
    try:
        run = retrain_surface(
            surface=surface,
            algorithm=request.POST.get("algorithm", ""),
            trigger=str(request.user),
            params={"encoder": encoder} if encoder else None,
        )
    except CannotTrainError as error:
        show_refusal(request, error)
        return redirect("surface", slug, key)
    return redirect("run", run.pk)


@require_http_methods(["GET", "POST"])
@login_required
def set_parameters(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show a field for each parameter of an algorithm, and queue a run with those that differ."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    algorithms = startable(surface.kind)
    sent = request.POST if request.method == "POST" else request.GET
    algorithm = sent.get("algorithm") or surface.retrain_algorithm or default_algorithm(surface.kind)
    if algorithm not in algorithms:
        raise Http404
    form = TrainingForm(surface, algorithm, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            run = retrain_surface(
                surface=surface, algorithm=algorithm, trigger=str(request.user), params=form.params()
            )
        except CannotTrainError as error:
            form.add_refusal(error)
        else:
            return redirect("run", run.pk)
    context = {
        "project": project,
        "surface": surface,
        "form": form,
        "algorithm": algorithm,
        "algorithms": algorithms,
    }
    return render(request, "dashboard/train.html", context, status=422 if form.errors else 200)


def _run_for(request: HttpRequest, run_id: int, needed: str = "viewer") -> TrainingRun:
    run = get_object_or_404(
        TrainingRun.objects.select_related("surface__project", "version", "snapshot"),
        pk=run_id,
        surface__project__in=projects_of(request.user),
    )
    require(request, run.surface.project, needed)
    return run


@require_safe
@login_required
def show_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a training run: progress, loss, gate, slices, and what became of its version."""
    run = _run_for(request, run_id)
    context = {
        "page": run_page(run),
        "moves": run.version.moves.all() if run.version is not None else (),
        "shadow": summarise_shadow(run.version) if run.version is not None else None,
        "active": run.state in TrainingRun.ACTIVE,
        "log": run.log_lines.all(),
        "max_lines": MAX_LINES,
        "waiting": waiting_of(run),
    }
    if request.GET.get("part") == "log":  # so does its log
        return render(request, "dashboard/run_log.html", {**context, "run": run})
    if request.headers.get("HX-Request"):  # a page that is open asks for its progress alone
        return render(request, "dashboard/run_progress.html", context)
    noise = label_noise_of(run, downloads="texts" in request.GET)
    more = {"noise": noise, "others": others_of(run)}
    return render(request, "dashboard/run.html", {**context, **more})


@require_safe
@login_required
def compare(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a run beside another of its surface."""
    run = _run_for(request, run_id)
    number = request.GET.get("with", "")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS):
        raise Http404
    other = get_object_or_404(run.surface.training_runs.select_related("version"), pk=int(number))
    context = {
        "project": run.surface.project,
        "comparison": compare_runs(run, other),
        "others": others_of(run),
    }
    return render(request, "dashboard/run_comparison.html", context)


@require_safe
@login_required
def download_label_noise(request: HttpRequest, run_id: int) -> HttpResponse:
    """Return the examples that seem mislabelled as CSV."""
    noise = label_noise_of(_run_for(request, run_id))
    if noise is None:
        raise Http404
    answer = HttpResponse(csv_of_noise(noise), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="label-noise-{run_id}.csv"'
    return answer


@require_POST
@login_required
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Cancel a training run; one that has ended meanwhile is shown as it ended."""
    run = _run_for(request, run_id, OPERATOR)
    with contextlib.suppress(CannotCancelError):
        cancel_training(run=run, by=str(request.user))
    return redirect("run", run_id)
