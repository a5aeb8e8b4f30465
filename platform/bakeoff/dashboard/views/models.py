"""Model versions, and the acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.dashboard.access import OPERATOR, project_for, projects_of, require
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.run_page import page_of as run_page
from bakeoff.dashboard.saved_views import views_over
from experiments.actions.check_version import CannotCheckError, queue_check
from experiments.actions.promote_version import promote_version
from experiments.actions.shadow_version import CannotShadowError, shadow_version
from experiments.models import DataSet, Experiment, VersionCheck
from experiments.reports.prompt_diff import diff_prompts
from inference.actions.move_champion import CannotPromoteError
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.actions.summarise_shadow import summarise_shadow
from inference.models import ModelVersion, Surface, TrainingRun

CHAMPION = ModelVersion.Alias.CHAMPION


@require_safe
@login_required
def list_models(request: HttpRequest, slug: str) -> HttpResponse:
    """List versions by surface and alias, and training runs with their progress."""
    project = project_for(request, slug)
    versions = ModelVersion.objects.filter(surface__project=project).select_related(
        "surface__project", "parent"
    )
    surface = request.GET.get("surface", "").strip()
    alias = request.GET.get("alias", "")
    if surface:
        versions = versions.filter(surface__key=surface)
    if alias in ModelVersion.Alias.values:
        versions = versions.filter(alias=alias)
    context = {
        "surface": surface,
        "alias": alias,
        "surfaces": project.surfaces.order_by("key").values_list("key", flat=True),
        "aliases": ModelVersion.Alias.values,
        **views_over(request, project, "models"),
        "project": project,
        "page": page_of(request, versions.order_by("-id")),
        "runs": TrainingRun.objects.filter(surface__project=project).select_related(
            "surface", "version"
        )[:15],
    }
    return render(request, "dashboard/models.html", context)


def _version_for(request: HttpRequest, version_id: int, needed: str = "viewer") -> ModelVersion:
    version = (
        ModelVersion.objects.filter(pk=version_id, surface__project__in=projects_of(request.user))
        .select_related("surface__project", "parent", "snapshot")
        .first()
    )
    if version is None:
        raise Http404
    require(request, version.surface.project, needed)
    return version


@require_safe
@login_required
def show_version(request: HttpRequest, slug: str, version_id: int) -> HttpResponse:
    """Show a version: its gate, lineage, moves and shadow."""
    project = project_for(request, slug)
    version = _version_for(request, version_id)
    run = version.trainingrun_set.order_by("-id").first()
    context = {
        **_prompt_of(request, version),
        **_checks_of(version),
        "project": project,
        "version": version,
        "page": run_page(run) if run is not None else None,
        "children": ModelVersion.objects.filter(parent=version),
        "moves": version.moves.all(),
        "shadow": summarise_shadow(version),
        "shadow_answers": version.shadow_answers.order_by("-id")[:10],
        "experiments": Experiment.objects.filter(variants__model_version=version).distinct()[:10],
    }
    return render(request, "dashboard/version.html", context)


def _prompt_of(request: HttpRequest, version: ModelVersion) -> dict[str, Any]:
    """Return what a version asks, and what differs from another: the champion's, or one that is named."""
    artifacts = settings.BAKEOFF.artifacts
    try:
        prompt = read_prompt(artifacts, version)
    except NoPromptError:
        return {}
    rivals = list(version.surface.versions.exclude(pk=version.pk).order_by("-id")[:50])
    named = request.GET.get("against")
    against = next(
        (one for one in rivals if str(one.pk) == named or (named is None and one.alias == CHAMPION)),
        None,
    )
    before = prompt
    if against is not None:
        try:
            before = read_prompt(artifacts, against)
        except NoPromptError:  # its artifact is lost, or it is trained
            against = None
    return {"prompt_lines": diff_prompts(before, prompt), "against": against, "rivals": rivals}


def _checks_of(version: ModelVersion) -> dict[str, Any]:
    """Return the last checks of a version that generates, and the data sets that it may be checked on."""
    if version.surface.kind != Surface.Kind.GENERATE:
        return {}
    return {
        "generates": True,
        "checks": VersionCheck.objects.filter(version=version).select_related("data_set", "rival")[:5],
        "data_sets": DataSet.objects.filter(surface=version.surface).order_by("key"),
    }


@require_POST
@login_required
def check_version(request: HttpRequest, slug: str, version_id: int) -> HttpResponse:
    """Queue a check of a version on a data set."""
    version = _version_for(request, version_id, OPERATOR)
    data_set = get_object_or_404(DataSet, surface=version.surface, key=request.POST.get("data_set", ""))
    try:
        queue_check(version=version, data_set=data_set, by=str(request.user))
    except CannotCheckError as error:
        show_refusal(request, error)
    return redirect("version", slug, version_id)


@dataclass(frozen=True, slots=True)
class VersionAct:
    """The texts of an act on a version."""

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
def act_on_version(request: HttpRequest, slug: str, version_id: int, verb: str) -> HttpResponse:
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
            return redirect("version", slug, version_id)
    context = {
        "version": version,
        "verb": verb,
        "title": str(texts.title) % {"version": version.label},
        "button": texts.button,
        "says": texts.says,
        "problem": problem,
        "typed": request.POST,
        "champion": version.surface.versions.champions().first(),
    }
    return render(request, "dashboard/confirm_version.html", context, status=409 if problem else 200)
