"""Metrics, surfaces and models: what there is, who serves, and the acts on versions."""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.dashboard.access import ANALYST, OPERATOR, project_for, projects_of, require
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.run_page import page_of as run_page
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface, put_surface
from experiments.actions.create_metric import CannotCreateError, create_metric
from experiments.actions.promote_version import promote_version
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.shadow_version import CannotShadowError, shadow_version
from experiments.models import Decision, Experiment, Metric
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.actions.move_champion import CannotPromoteError
from inference.actions.queue_training import CannotTrainError
from inference.actions.summarise_shadow import summarise_shadow
from inference.algorithms import algorithms_of
from inference.models import DriftReport, ModelVersion, Surface, TrainingRun


class MetricForm(ModelForm):  # type: ignore[type-arg]
    """A metric over events."""

    class Meta:
        """Its fields."""

        model = Metric
        fields = (
            "key", "name", "kind", "event_name", "value", "denominator_event", "increase_is_good",
            "window_seconds", "cap", "attributed_only", "trusted_only",
        )  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
def list_metrics(request: HttpRequest, project: str) -> HttpResponse:
    """List metrics and declare one."""
    found = project_for(request, project, ANALYST if request.method == "POST" else "viewer")
    form = MetricForm(request.POST or None, instance=Metric(project=found))
    if request.method == "POST" and form.is_valid():
        try:
            create_metric(metric=form.instance, by=str(request.user))
        except CannotCreateError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            messages.success(request, _("Declared. Experiments can use it."))
            return redirect("metrics", project)
    context = {"page": page_of(request, found.metrics.order_by("key")), "form": form, "project": found}
    status = 422 if form.errors else 200
    return render(request, "dashboard/metrics.html", context, status=status)


SURFACE_FIELDS: tuple[str, ...] = (
    "static_list", "labels", "liked_events", "exploration", "retrain_recommender",
    "retrain_every_seconds", "retrain_on_drift", "start_experiments", "shadow_first",
)  # fmt: skip
JSON_LISTS = ("static_list", "labels", "liked_events")


class SurfaceChangeForm(ModelForm):  # type: ignore[type-arg]
    """What may be changed of a surface: neither its key nor its kind."""

    class Meta:
        """Its fields."""

        model = Surface
        fields = SURFACE_FIELDS

    def values(self) -> dict[str, Any]:
        """Return what was typed, but for the key; a list that was left empty is one."""
        typed = {name: value for name, value in self.cleaned_data.items() if name != "key"}
        return {**typed, **{name: typed[name] or [] for name in JSON_LISTS}}


class SurfaceForm(SurfaceChangeForm):
    """A new surface."""

    class Meta(SurfaceChangeForm.Meta):
        """Its fields."""

        fields = ("key", "kind", *SURFACE_FIELDS)


@require_http_methods(["GET", "POST"])
@login_required
def list_surfaces(request: HttpRequest, project: str) -> HttpResponse:
    """List surfaces with their champions, and make one."""
    found = project_for(request, project, OPERATOR if request.method == "POST" else "viewer")
    form = SurfaceForm(request.POST or None, instance=Surface(project=found))
    if request.method == "POST" and form.is_valid():
        key = form.cleaned_data["key"]
        if Surface.objects.filter(project=found, key=key).exists():
            form.add_error("key", _("There is a surface of this key already."))
        else:
            try:
                put_surface(
                    project=found, key=key, values=form.values(), replace=False, by=str(request.user)
                )
            except CannotChangeSurfaceError as error:
                form.add_error(error.field, str(error))
            else:
                messages.success(
                    request, _("Made. Ask it with /v1/%(kind)s.") % {"kind": form.cleaned_data["kind"]}
                )
                return redirect("surface", project, key)
    rows = [(s, s.versions.champions().first()) for s in found.surfaces.order_by("key")]
    context = {"rows": rows, "form": form, "project": found}
    return render(request, "dashboard/surfaces.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def edit_surface(request: HttpRequest, project: str, key: str) -> HttpResponse:
    """Change a surface; fields that are not on the form stay as they are."""
    found = project_for(request, project, OPERATOR)
    surface = get_object_or_404(Surface, project=found, key=key)
    form = SurfaceChangeForm(request.POST or None, instance=surface)
    if request.method == "POST" and form.is_valid():
        try:
            patch_surface(surface=surface, changes=form.values(), by=str(request.user))
        except CannotChangeSurfaceError as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("surface", project, key)
    context = {"form": form, "project": found, "surface": surface}
    return render(request, "dashboard/surface_edit.html", context, status=422 if form.errors else 200)


@require_safe
@login_required
def show_surface(request: HttpRequest, project: str, key: str) -> HttpResponse:
    """Show a surface: who serves it, who did, what runs, what it learns, how it drifts."""
    found = project_for(request, project)
    surface = get_object_or_404(Surface, project=found, key=key)
    context = {
        "project": found,
        "surface": surface,
        "champion": surface.versions.champions().first(),
        "history": Decision.objects.filter(surface=surface).select_related(
            "promoted", "replaced", "experiment"
        )[:30],
        "experiments": Experiment.objects.filter(surface=surface)[:10],
        "versions": surface.versions.order_by("-id")[:20],
        "algorithms": sorted(algorithms_of(surface.kind)),
        "runs": surface.training_runs.all()[:10],
        "drift": DriftReport.objects.filter(surface=surface).order_by("-measured_at").first(),
    }
    return render(request, "dashboard/surface.html", context)


@require_POST
@login_required
def train(request: HttpRequest, project: str, key: str) -> HttpResponse:
    """Queue a training run on what was recorded."""
    found = project_for(request, project, OPERATOR)
    surface = get_object_or_404(Surface, project=found, key=key)
    try:
        run = retrain_surface(
            surface=surface,
            recommender=request.POST.get("recommender", ""),
            trigger=str(request.user),
        )
    except CannotTrainError as error:
        messages.error(request, str(error))
        return redirect("surface", project, key)
    return redirect("run", run.pk)


@require_safe
@login_required
def list_models(request: HttpRequest, project: str) -> HttpResponse:
    """List versions, and training runs with their progress."""
    found = project_for(request, project)
    versions = ModelVersion.objects.filter(surface__project=found).select_related("surface", "parent")
    context = {
        "project": found,
        "page": page_of(request, versions.order_by("-id")),
        "runs": TrainingRun.objects.filter(surface__project=found).select_related("surface", "version")[
            :15
        ],
    }
    return render(request, "dashboard/models.html", context)


def _version_for(request: HttpRequest, version_id: int, needed: str = "viewer") -> ModelVersion:
    found = (
        ModelVersion.objects.filter(pk=version_id, surface__project__in=projects_of(request.user))
        .select_related("surface__project", "parent", "snapshot")
        .first()
    )
    if found is None:
        raise Http404
    require(request, found.surface.project, needed)
    return found


@require_safe
@login_required
def show_version(request: HttpRequest, project: str, version_id: int) -> HttpResponse:
    """Show a version: its gate, lineage, moves and shadow."""
    found = project_for(request, project)
    version = _version_for(request, version_id)
    run = version.trainingrun_set.order_by("-id").first()
    context = {
        "project": found,
        "version": version,
        "page": run_page(run) if run is not None else None,
        "children": ModelVersion.objects.filter(parent=version),
        "moves": version.moves.all(),
        "shadow": summarise_shadow(version),
        "shadow_answers": version.shadow_answers.order_by("-id")[:10],
        "experiments": Experiment.objects.filter(variants__model_version=version).distinct()[:10],
    }
    return render(request, "dashboard/version.html", context)


VERSION_ACTS = {
    "promote": gettext_noop(
        "It serves everybody on the surface from now on; promoting the present champion again undoes it."
    ),
    "shadow": gettext_noop("It answers a share of the requests, unseen; nothing else changes."),
}


@require_http_methods(["GET", "POST"])
@login_required
def act_on_version(request: HttpRequest, project: str, version_id: int, verb: str) -> HttpResponse:
    """Say what an act on a version will do, and do it when it is confirmed."""
    if verb not in VERSION_ACTS:
        raise Http404
    version = _version_for(request, version_id, OPERATOR)
    problem = ""
    if request.method == "POST":
        reason = request.POST.get("reason", "") or "by a person"
        do: Any = promote_version if verb == "promote" else shadow_version
        try:
            decision = do(version=version, by=str(request.user), reason=reason)
        except (CannotPromoteError, CannotShadowError) as error:
            problem = str(error)
        else:
            messages.success(request, _("Done: %(what)s.") % {"what": f"{verb} {version.label}"})
            if decision is not None and not decision.confirmed:
                messages.warning(
                    request, _("Not every web process has confirmed it yet: see the health page.")
                )
            return redirect("version", project, version_id)
    context = {
        "version": version,
        "verb": verb,
        "says": _(VERSION_ACTS[verb]),
        "problem": problem,
        "champion": version.surface.versions.champions().first(),
    }
    return render(request, "dashboard/confirm_version.html", context, status=409 if problem else 200)


def _run_for(request: HttpRequest, run_id: int, needed: str = "viewer") -> TrainingRun:
    run = get_object_or_404(
        TrainingRun.objects.select_related("surface__project", "version"),
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
        "shadow": str(summarise_shadow(run.version)) if run.version is not None else "",
        "active": run.state in TrainingRun.ACTIVE,
    }
    if request.headers.get("HX-Request"):  # a page that is open asks for its progress alone
        return render(request, "dashboard/run_progress.html", context)
    return render(request, "dashboard/run.html", context)


@require_POST
@login_required
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Cancel a training run; one that has ended meanwhile is shown as it ended."""
    run = _run_for(request, run_id, OPERATOR)
    with contextlib.suppress(CannotCancelError):
        cancel_training(run=run, by=str(request.user))
    return redirect("run", run_id)
