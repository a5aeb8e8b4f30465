"""Surfaces: who serves, and what they learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.judging_form import JudgingForm
from bakeoff.dashboard.refusals import refused_page
from bakeoff.dashboard.surface_form import SurfaceChangeForm, SurfaceForm
from bakeoff.dashboard.training_form import ScheduledParams
from bakeoff.dashboard.views.archiving import ARCHIVED
from bakeoff.dashboard.views.home import with_champions
from bakeoff.dashboard.views.surface_history import latest_changes
from bakeoff.dashboard.views.surface_lists import read_params
from experiments.actions.add_order import CannotOrderError, list_of, read_order
from experiments.actions.change_surface import CannotChangeSurfaceError, create_surface, patch_surface
from experiments.models import Decision, Experiment, programme_of
from experiments.reports.holdback_gain import running_gains
from experiments.slate_rules.named_properties import times_meant_as_properties
from inference.actions.find_encoder import encoders_of
from inference.algorithms import startable, why_not_trainable
from inference.models import DriftReport, Surface
from inference.serving.orders import SEARCH

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
def list_surfaces(request: HttpRequest, slug: str) -> HttpResponse:
    """List surfaces with their champions, and make one."""
    project = project_for(request, slug, OPERATOR if request.method == "POST" else "viewer")
    form = SurfaceForm(request.POST or None, instance=Surface(project=project))
    if request.method == "POST" and form.is_valid():
        key = form.cleaned_data["key"]
        try:
            name = form.cleaned_data.get("list")
            order = read_order(name, {}) if name else None
            create_surface(
                project=project, key=key, values=form.values(), by=str(request.user), order=order
            )
        except (CannotChangeSurfaceError, CannotOrderError) as error:
            form.refuse(error)
        else:
            kind = form.cleaned_data["kind"]
            path = name or ("chat/completions" if kind == Surface.Kind.GENERATE else kind)
            messages.success(request, _("Surface created. Call it with /v1/%(kind)s.") % {"kind": path})
            return redirect("surface", slug, key)
    archived = ARCHIVED in request.GET
    rows = with_champions(project.surfaces.filter(archived_at__isnull=not archived).order_by("key"))
    context = {
        "rows": rows,
        "form": form,
        "project": project,
        "archived": archived,
        "archived_count": project.surfaces.filter(archived_at__isnull=False).count(),
    }
    return render(request, "dashboard/surfaces.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def edit_surface(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change a surface; fields that are not on the form stay as they are."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    form = SurfaceChangeForm(request.POST or None, instance=surface)
    params = ScheduledParams.of(surface, request.POST or None)
    if request.method == "POST" and form.is_valid() and (params is None or params.is_valid()):
        try:
            changes = form.values() | (params.changes() if params is not None else {})
            patch_surface(surface=surface, changes=changes, by=str(request.user))
        except CannotChangeSurfaceError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Saved."))
            return redirect("surface", slug, key)
    context = {"form": form, "params": params, "project": project, "surface": surface}
    is_refused = form.errors or (params is not None and params.errors)
    return render(request, "dashboard/surface_edit.html", context, status=422 if is_refused else 200)


@require_safe
@login_required
def show_surface(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show a surface: who serves it, who did, what runs, what it learns, how it drifts."""
    surfaces = Surface.objects.select_related("project")
    surface = get_object_or_404(surfaces, project=project_for(request, slug), key=key)
    return surface_page(request, surface)


def surface_page(
    request: HttpRequest, surface: Surface, *, judging_form: JudgingForm | None = None
) -> HttpResponse:
    """Return the page of a surface; its form of judging as it was refused, if it was."""
    project = surface.project
    champion = surface.versions.champions().first()
    list_name = list_of(champion) if champion is not None else None
    # What a search finds is learnt by no training, and its versions are tested by a person's choice.
    is_search = list_name == SEARCH
    context: dict[str, Any] = {
        "project": project,
        "surface": surface,
        "champion": champion,
        "list_name": list_name,
        "list_params": read_params(champion) if champion is not None else [],
        "lacks_metric": surface.start_experiments
        and not is_search
        and surface.kind != Surface.Kind.FLAG
        and programme_of(surface).primary_metric is None,
        "history": Decision.objects.filter(surface=surface).select_related(
            "promoted", "replaced", "experiment"
        )[:30],
        "changes": latest_changes(surface),
        "experiments": Experiment.objects.filter(surface=surface)[:10],
        "gains": running_gains(surface.experiments.all()),
        "versions": surface.versions.order_by("-id")[:20],
        "algorithms": () if is_search else startable(surface.kind),
        "schedule_problem": surface.retrain_algorithm
        and why_not_trainable(surface.kind, surface.retrain_algorithm, surface.retrain_params),
        "own_times": times_meant_as_properties(surface.rules),
        "encoders": encoders_of(project.pk),
        "runs": surface.training_runs.all()[:10],
        "drift": DriftReport.objects.filter(surface=surface).order_by("-measured_at").first(),
    }
    if surface.kind == Surface.Kind.GENERATE:
        context["judging_form"] = judging_form or JudgingForm(surface)
    if judging_form is not None:
        address = reverse("surface", args=[project.slug, surface.key])
        return refused_page(request, "dashboard/surface.html", context, address)
    return render(request, "dashboard/surface.html", context)
