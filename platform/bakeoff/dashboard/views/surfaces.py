"""Surfaces: who serves, and what they learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.validators import MinValueValidator
from django.forms import ChoiceField, ModelForm
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.judging_form import JudgingForm
from bakeoff.dashboard.refusals import add_refusal, refused_page
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
from inference.serving.orders import LISTS

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

SURFACE_FIELDS: tuple[str, ...] = (
    "static_list", "labels", "costs", "abstain_cost", "slices", "max_gap", "liked_events",
    "event_weights", "context_features", "exploration", "retrain_algorithm", "retrain_every_seconds", "retrain_on_drift", "start_experiments", "shadow_first", "text_classifier", "theme_namer", "generate", "rank",
)  # fmt: skip
JSON_LISTS = ("static_list", "labels", "liked_events", "slices", "context_features")
JSON_OBJECTS = ("costs", "event_weights", "generate", "rank")


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
            "costs": gettext_lazy("Costs of mistakes"),
            "abstain_cost": gettext_lazy("Cost of asking a person"),
            "slices": gettext_lazy("Groups to compare"),
            "max_gap": gettext_lazy("Largest gap allowed"),
            "liked_events": gettext_lazy("Positive signals"),
            "event_weights": gettext_lazy("Event weights"),
            "context_features": gettext_lazy("Context features"),
            "exploration": gettext_lazy("Exploration"),
            "retrain_algorithm": gettext_lazy("Algorithm on schedule"),
            "retrain_every_seconds": gettext_lazy("Retrain every (s)"),
            "retrain_on_drift": gettext_lazy("Retrain on drift"),
            "start_experiments": gettext_lazy("Auto-start experiments"),
            "shadow_first": gettext_lazy("Shadow requests before the experiment"),
            "text_classifier": gettext_lazy("Classifier of what users write"),
            "theme_namer": gettext_lazy("Model that names themes"),
            "generate": gettext_lazy("Generation settings"),
            "rank": gettext_lazy("Settings of the choice"),
        }
        help_texts: ClassVar = {
            "static_list": gettext_lazy("Item IDs to serve when no model can answer, as a JSON list."),
            "labels": gettext_lazy(
                "Classification only, as a JSON list. Examples with other labels are skipped. Empty: the "
                "labels of the loaded examples."
            ),
            "costs": gettext_lazy(
                "Classification only, as JSON: true label, answered label, cost. Other mistakes cost 1."
            ),
            "abstain_cost": gettext_lazy(
                "Classification only. Where the best label is expected to cost more, no label is decided "
                "on. Empty: a label is always decided on."
            ),
            "slices": gettext_lazy("Classification only: names of features, as a JSON list."),
            "max_gap": gettext_lazy(
                "Classification only. A version is rejected where accuracy, or the rate of false positives "
                "or negatives, differs more between two groups. Empty: no limit."
            ),
            "liked_events": gettext_lazy(
                "Events that show that a user liked an item, as a JSON list: click, rating>=4."
            ),
            "event_weights": gettext_lazy(
                "Recommendations only, as JSON: what a positive signal counts in training, by its event. "
                'Others count 1. {"click": 1, "order": {"per_value": 0.1}}'
            ),
            "context_features": gettext_lazy(
                "Recommendations only: what models may read of a request, as a JSON list: country, device, "
                "language, platform, hour, weekday, context.NAME."
            ),
            "exploration": gettext_lazy("0 always shows the best ranking; 0.05 shuffles a little."),
            "retrain_algorithm": gettext_lazy("What the schedule trains. Empty: nothing."),
            "retrain_on_drift": gettext_lazy("Drift starts a training run before it is due."),
            "start_experiments": gettext_lazy(
                "A version that passes its gate starts its experiment by itself."
            ),
            "shadow_first": gettext_lazy(
                "How many requests a challenger answers as shadow traffic before its experiment."
            ),
            "text_classifier": gettext_lazy(
                "Key of a classification surface. Its champion labels comments and answers, for example as "
                "positive or negative, and themes show the share of each label. Empty: none."
            ),
            "theme_namer": gettext_lazy(
                "Key of a generation surface. Its champion names themes by their words and redacted quotes, "
                "which its provider then gets. Empty: themes are named by their words."
            ),
            "generate": gettext_lazy(
                "Generation only, as JSON: who may ask, what is stored, what may be spent."
            ),
            "rank": gettext_lazy(
                "Choice of an action only, as JSON: exploration, rewards, and how long to wait for them."
            ),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the choices; refuse at the field what the table would refuse by a constraint."""
        super().__init__(*args, **options)
        name_choices(self)
        self.fields["exploration"].validators.append(MinValueValidator(0))

    def values(self) -> dict[str, Any]:
        """Return what was typed, but for the key; a list that was left empty is one."""
        typed = {n: value for n, value in self.cleaned_data.items() if n not in {"key", "list"}}
        lists = {name: typed[name] or [] for name in JSON_LISTS}
        return {**typed, **lists, **{name: typed[name] or {} for name in JSON_OBJECTS}}


class SurfaceForm(SurfaceChangeForm):
    """A new surface."""

    list = ChoiceField(
        required=False,
        label=gettext_lazy("List"),
        choices=[("", "–"), *((name, name) for name in LISTS)],
        help_text=gettext_lazy(
            "Recommendations only: start with an order that needs no training. Empty: trained models."
        ),
    )

    class Meta(SurfaceChangeForm.Meta):
        """Its fields."""

        fields = ("key", "kind", *SURFACE_FIELDS)


@require_http_methods(["GET", "POST"])
@login_required
def list_surfaces(request: HttpRequest, slug: str) -> HttpResponse:
    """List surfaces with their champions, and make one."""
    project = project_for(request, slug, OPERATOR if request.method == "POST" else "viewer")
    form = SurfaceForm(request.POST or None, instance=Surface(project=project))
    if request.method == "POST" and form.is_valid():
        key = form.cleaned_data["key"]
        try:
            name = form.cleaned_data["list"]
            order = read_order(name, {}) if name else None
            create_surface(
                project=project, key=key, values=form.values(), by=str(request.user), order=order
            )
        except (CannotChangeSurfaceError, CannotOrderError) as error:
            add_refusal(form, error)
        else:
            kind = form.cleaned_data["kind"]
            path = name or ("chat/completions" if kind == Surface.Kind.GENERATE else kind)
            messages.success(request, _("Surface created. Call it with /v1/%(kind)s.") % {"kind": path})
            return redirect("surface", slug, key)
    rows = with_champions(project.surfaces.order_by("key"))
    context = {"rows": rows, "form": form, "project": project}
    return render(request, "dashboard/surfaces.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def edit_surface(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change a surface; fields that are not on the form stay as they are."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key)
    form = SurfaceChangeForm(request.POST or None, instance=surface)
    if request.method == "POST" and form.is_valid():
        try:
            patch_surface(surface=surface, changes=form.values(), by=str(request.user))
        except CannotChangeSurfaceError as error:
            add_refusal(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("surface", slug, key)
    context = {"form": form, "project": project, "surface": surface}
    return render(request, "dashboard/surface_edit.html", context, status=422 if form.errors else 200)


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
    context: dict[str, Any] = {
        "project": project,
        "surface": surface,
        "champion": champion,
        "list_name": list_of(champion) if champion is not None else None,
        "list_params": read_params(champion) if champion is not None else [],
        "lacks_metric": surface.start_experiments
        and surface.kind != Surface.Kind.FLAG
        and programme_of(surface).primary_metric is None,
        "history": Decision.objects.filter(surface=surface).select_related(
            "promoted", "replaced", "experiment"
        )[:30],
        "changes": latest_changes(surface),
        "experiments": Experiment.objects.filter(surface=surface)[:10],
        "gains": running_gains(surface.experiments.all()),
        "versions": surface.versions.order_by("-id")[:20],
        "algorithms": startable(surface.kind),
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
