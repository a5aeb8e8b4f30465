"""Metrics, surfaces and models: what there is, who serves, and the acts on versions."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.validators import MinValueValidator
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
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
from experiments.reports.code_names import name_of
from experiments.reports.stored_text import end_sentence, show_stored
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.actions.move_champion import CannotPromoteError
from inference.actions.queue_training import CannotTrainError
from inference.actions.summarise_shadow import summarise_shadow
from inference.algorithms import algorithms_of
from inference.models import DriftReport, ModelVersion, Surface, TrainingRun


def name_choices(form: ModelForm) -> None:  # type: ignore[type-arg]
    """Show the choices of a form as pages name them."""
    for field in form.fields.values():
        choices = getattr(field, "choices", None)
        if choices:
            field.choices = [(value, name_of(value) if value else "–") for value, _label in choices]  # type: ignore[attr-defined]


class MetricForm(ModelForm):  # type: ignore[type-arg]
    """A metric over events."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the choices."""
        super().__init__(*args, **options)
        name_choices(self)

    class Meta:
        """Its fields."""

        model = Metric
        fields = (
            "key", "name", "kind", "event_name", "value", "denominator_event", "increase_is_good",
            "window_seconds", "cap", "attributed_only", "trusted_only",
        )  # fmt: skip
        labels: ClassVar = {
            "key": gettext_lazy("Key"),
            "name": gettext_lazy("Name"),
            "kind": gettext_lazy("Kind"),
            "event_name": gettext_lazy("Event"),
            "value": gettext_lazy("Value per user"),
            "denominator_event": gettext_lazy("Denominator event"),
            "increase_is_good": gettext_lazy("Goal: increase"),
            "window_seconds": gettext_lazy("Conversion window (s)"),
            "cap": gettext_lazy("Cap"),
            "attributed_only": gettext_lazy("Attributed events only"),
            "trusted_only": gettext_lazy("Trusted events only"),
        }
        help_texts: ClassVar = {
            "denominator_event": gettext_lazy(
                "Ratio only: the event in the denominator; slate counts recommendations served."
            ),
            "window_seconds": gettext_lazy(
                "Events count for this long after a user first sees a variant. Empty: as the policy says."
            ),
            "cap": gettext_lazy("Larger values per user count as this value."),
            "attributed_only": gettext_lazy(
                "Count only events that name a recommendation of the experiment."
            ),
            "trusted_only": gettext_lazy(
                "Count only events and feedback sent with a secret key: a page's key can be abused."
            ),
        }


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
            messages.success(request, _("Metric created."))
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
        labels: ClassVar = {
            "key": gettext_lazy("Key"),
            "kind": gettext_lazy("Kind"),
            "static_list": gettext_lazy("Static list"),
            "labels": gettext_lazy("Labels"),
            "liked_events": gettext_lazy("Positive signals"),
            "exploration": gettext_lazy("Exploration"),
            "retrain_recommender": gettext_lazy("Algorithm on schedule"),
            "retrain_every_seconds": gettext_lazy("Retrain every (s)"),
            "retrain_on_drift": gettext_lazy("Retrain on drift"),
            "start_experiments": gettext_lazy("Auto-start experiments"),
            "shadow_first": gettext_lazy("Shadow requests before the experiment"),
        }
        help_texts: ClassVar = {
            "static_list": gettext_lazy("Item IDs to serve when no model can answer, as a JSON list."),
            "labels": gettext_lazy(
                "Classification only, as a JSON list. Examples with other labels are skipped. Empty: the "
                "labels of the loaded examples."
            ),
            "liked_events": gettext_lazy(
                "Events that show that a user liked an item, as a JSON list: click, rating>=4."
            ),
            "exploration": gettext_lazy("0 always shows the best ranking; 0.05 shuffles a little."),
            "retrain_recommender": gettext_lazy("What the schedule trains. Empty: nothing."),
            "retrain_on_drift": gettext_lazy("Drift starts a training run before it is due."),
            "start_experiments": gettext_lazy(
                "A version that passes its gate starts its experiment by itself."
            ),
            "shadow_first": gettext_lazy(
                "How many requests a challenger answers as shadow traffic before its experiment."
            ),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the choices; refuse at the field what the table would refuse by a constraint."""
        super().__init__(*args, **options)
        name_choices(self)
        self.fields["exploration"].validators.append(MinValueValidator(0))

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
            form.add_error("key", _("A surface with this key already exists."))
        else:
            try:
                put_surface(
                    project=found, key=key, values=form.values(), replace=False, by=str(request.user)
                )
            except CannotChangeSurfaceError as error:
                form.add_error(error.field, str(error))
            else:
                messages.success(
                    request,
                    _("Surface created. Call it with /v1/%(kind)s.")
                    % {"kind": form.cleaned_data["kind"]},
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
        messages.error(request, end_sentence(show_stored(str(error))))
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


@dataclass(frozen=True, slots=True)
class VersionAct:
    """Something that a person may do to a version: its texts."""

    title: Any
    button: Any
    says: Any
    done: Any


VERSION_ACTS = {
    "promote": VersionAct(
        title=gettext_lazy("Promote %(version)s"),
        button=gettext_lazy("Promote"),
        says=gettext_lazy(
            "It will serve all users on this surface. To undo, promote the current champion again."
        ),
        done=gettext_lazy("%(version)s promoted."),
    ),
    "shadow": VersionAct(
        title=gettext_lazy("Start shadow traffic for %(version)s"),
        button=gettext_lazy("Start shadow traffic"),
        says=gettext_lazy("It answers a share of the requests without being shown to users."),
        done=gettext_lazy("Shadow traffic for %(version)s started."),
    ),
}


@require_http_methods(["GET", "POST"])
@login_required
def act_on_version(request: HttpRequest, project: str, version_id: int, verb: str) -> HttpResponse:
    """Say what an act on a version will do, and do it when it is confirmed."""
    if verb not in VERSION_ACTS:
        raise Http404
    texts = VERSION_ACTS[verb]
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
            messages.success(request, str(texts.done) % {"version": version.label})
            if decision is not None and not decision.confirmed:
                messages.warning(
                    request, _("Not every web process has confirmed it yet: see the health page.")
                )
            return redirect("version", project, version_id)
    context = {
        "version": version,
        "verb": verb,
        "title": str(texts.title) % {"version": version.label},
        "button": texts.button,
        "says": texts.says,
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
        "shadow": summarise_shadow(run.version) if run.version is not None else None,
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
