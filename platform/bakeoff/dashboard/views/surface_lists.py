"""The list of a surface: its parameters, and the versions that had others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.refusals import add_refusal
from experiments.actions.add_order import CannotOrderError, add_order, list_of, read_order
from experiments.actions.serve_order import serve_order
from experiments.reports.code_names import name_of
from inference.models import Surface
from inference.serving.orders import BOUNDS, LISTS, PARAMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from inference.models import ModelVersion

MAX_VERSIONS = 50  # that the page lists
# By parameter: what forms call it, and what it does.
WORDS: Mapping[str, tuple[Any, Any]] = {
    "half_life_hours": (
        gettext_lazy("Half-life (hours)"),
        gettext_lazy("A positive signal of this age counts half. 24 is a day, 2160 are 90 days."),
    ),
    "by_value": (
        gettext_lazy("Count by value"),
        gettext_lazy("A positive signal counts as much as its value: revenue instead of purchases."),
    ),
    "word_weight": (
        gettext_lazy("Weight of words"),
        gettext_lazy("How much the ranking by words counts. 0: not at all."),
    ),
    "vector_weight": (
        gettext_lazy("Weight of meaning"),
        gettext_lazy("How much the ranking by the vectors of texts counts. 0: not at all."),
    ),
}


class ListForm(forms.Form):
    """The parameters of one list."""

    def __init__(self, name: str, *args: Any, **options: Any) -> None:
        """Show what this list takes."""
        super().__init__(*args, **options)
        for param, default in PARAMS[LISTS[name][0]].items():
            label, about = WORDS[param]
            words: dict[str, Any] = {"label": label, "help_text": about}
            if isinstance(default, bool):
                self.fields[param] = forms.BooleanField(required=False, **words)
            else:
                low, high = BOUNDS[param]
                self.fields[param] = forms.FloatField(min_value=low, max_value=high, **words)


@require_http_methods(["GET", "POST"])
@login_required
def edit_list(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the parameters of a surface's list, or of one that it may have; save a version of others."""
    saves = request.method == "POST"
    project = project_for(request, slug, OPERATOR if saves else "viewer")
    surface = get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.RECOMMEND)
    versions = _versions(surface)
    name = request.POST.get("list") or request.GET.get("list") or _list_now(surface, versions)
    if name not in LISTS:
        name = next(iter(LISTS))
    form = ListForm(name, request.POST or None, initial=_initial(name, versions))
    if saves and form.is_valid() and _save(request, form, surface, name):
        return redirect("surface-list", slug, key)
    context = {
        "project": project,
        "surface": surface,
        "form": form,
        "name": name,
        "lists": list(LISTS),
        "champion": surface.versions.champions().first(),
        "versions": [(list_of(one), read_params(one), one) for one in _versions(surface)],
    }
    status = 422 if form.errors else 200
    return render(request, "dashboard/surface_list.html", context, status=status)


def read_params(version: ModelVersion) -> list[tuple[Any, str]]:
    """Return what a version of an order goes by: names and values, as pages show them."""
    shown = {True: _("yes"), False: _("no")}
    return [
        (label, shown[value] if isinstance(value, bool) else f"{value:g}")
        for param, (label, _about) in WORDS.items()
        if (value := version.params.get(param)) is not None
    ]


def _versions(surface: Surface) -> list[ModelVersion]:
    """Return the versions of orders, the newest first."""
    orders = surface.versions.filter(algorithm__in=list(PARAMS)).select_related("surface__project")
    return list(orders.order_by("-id")[:MAX_VERSIONS])


def _list_now(surface: Surface, versions: list[ModelVersion]) -> str:
    """Return the list of the champion, of the newest version, or the first there is."""
    champion = surface.versions.champions().first()
    ordered = [champion, *versions] if champion is not None else versions
    return next((name for one in ordered if (name := list_of(one))), next(iter(LISTS)))


def _initial(name: str, versions: list[ModelVersion]) -> dict[str, Any]:
    """Return the parameters that serve, those of the newest version, or the list's own."""
    of_list = [one for one in versions if list_of(one) == name]
    of_list.sort(key=lambda one: one.alias != one.Alias.CHAMPION)
    return {**PARAMS[LISTS[name][0]], **(of_list[0].params if of_list else {})}


def _save(request: HttpRequest, form: ListForm, surface: Surface, name: str) -> bool:
    """Save what was typed as a version, and serve it where that was chosen."""
    by = str(request.user)
    serves = "serve" in request.POST
    try:
        order = read_order(name, form.cleaned_data)
        act = serve_order if serves else add_order
        version = act(surface=surface, order=order, by=by)
    except CannotOrderError as error:
        add_refusal(form, error, places={"list_params": next(iter(form.fields), "")})
        return False
    words = {"version": version.label, "list": name_of(name)}
    messages.success(
        request,
        _("%(version)s serves: %(list)s.") % words
        if version.alias == version.Alias.CHAMPION
        else _("%(version)s saved. Promote it, or test it in an experiment.") % words,
    )
    return True
