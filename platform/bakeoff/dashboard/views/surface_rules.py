"""The rules of a surface: write them, see what they do to somebody's slate, save them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from bakeoff.accounts.refused import RefusedError
from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.json_field import JsonField
from bakeoff.dashboard.plain_fields import PairsField
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.page_services import PREVIEW, find_service
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.save_rules import MAX_RULES_NAME, CannotSaveRulesError, save_rules
from experiments.actions.serve_rules import serve_rules
from experiments.bounds import MAX_ID
from experiments.models import RuleVersion
from experiments.slate_rules.rules import NAMES
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project

VIEWER = "viewer"
MAX_ABOUT = 20  # items that one preview explains
MAX_VERSIONS = 50  # that the page lists
RULES = "rules"  # the field, and what a surface calls them
PLACES = dict.fromkeys(("surface_rules", *NAMES), RULES)  # where a refusal of the preview belongs


class RulesForm(forms.Form):
    """Rules, and for whom they are tried."""

    rules = JsonField(
        dict,
        label=gettext_lazy("Rules"),
        help_text=gettext_lazy("As JSON; beside is an example of each rule."),
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
    )
    unit_id = forms.CharField(
        label=gettext_lazy("User ID"),
        max_length=MAX_ID,
        required=False,
        help_text=gettext_lazy("Whose list is shown. Empty: a new visitor's."),
    )
    k = forms.IntegerField(label=gettext_lazy("Items"), min_value=1, max_value=100, initial=10)
    context = PairsField(
        rows=2,
        label=gettext_lazy("Context"),
        help_text=gettext_lazy("What the request says of the visitor, one a line: country = DE."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name of the version"),
        max_length=MAX_RULES_NAME,
        required=False,
        help_text=gettext_lazy("For a version that you save to test it in an experiment."),
    )
    about = forms.CharField(
        label=gettext_lazy("Item IDs to explain"),
        required=False,
        help_text=gettext_lazy("Why are they here, or not here? Separate them by commas."),
    )

    def item_ids(self) -> list[str]:
        """Return the items to explain."""
        names = [one.strip() for one in self.cleaned_data["about"].split(",")]
        return [one for one in names if one][:MAX_ABOUT]


@require_http_methods(["GET", "POST"])
@login_required
def edit_rules(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show rules and what they do; save them."""
    saves = request.method == "POST" and bool({"save", "keep"} & request.POST.keys())
    project = project_for(request, slug, OPERATOR if saves else VIEWER)
    surface = get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.RECOMMEND)
    form = RulesForm(request.POST or None, initial={RULES: _text(surface.rules), "k": 10})
    preview = None
    if form.is_valid():
        save = _save if "save" in request.POST else _keep
        if saves and save(form, surface, by=str(request.user)):
            messages.success(request, _("Saved."))
            return redirect("surface-rules", slug, key)
        if not saves:
            preview = _preview(request, form, project, surface)
    context = {
        "project": project,
        "surface": surface,
        "form": form,
        "preview": preview,
        "versions": surface.rule_versions.select_related("surface")[:MAX_VERSIONS],
    }
    status = 422 if form.errors else 200
    return render(request, "dashboard/surface_rules.html", context, status=status)


def _text(rules: dict[str, Any]) -> str:
    return orjson.dumps(rules, option=orjson.OPT_INDENT_2).decode() if rules else ""


def _save(form: RulesForm, surface: Surface, *, by: str) -> bool:
    try:
        patch_surface(surface=surface, changes={RULES: form.cleaned_data[RULES]}, by=by)
    except CannotChangeSurfaceError as error:
        add_refusal(form, error)
        return False
    return True


def _keep(form: RulesForm, surface: Surface, *, by: str) -> bool:
    """Save a version that is not served yet."""
    typed = form.cleaned_data
    try:
        save_rules(surface=surface, rules=typed[RULES], name=typed["name"], by=by)
    except CannotSaveRulesError as error:
        add_refusal(form, error)
        return False
    return True


@require_POST
@login_required
def serve_saved_rules(request: HttpRequest, slug: str, key: str, number: int) -> HttpResponse:
    """Go back to a version, or make one that was only saved the surface's."""
    project = project_for(request, slug, OPERATOR)
    rows = RuleVersion.objects.select_related("surface")
    version = get_object_or_404(rows, surface__project=project, surface__key=key, number=number)
    serve_rules(version=version, by=str(request.user))
    messages.success(request, _("Saved."))
    return redirect("surface-rules", slug, key)


def _preview(
    request: HttpRequest, form: RulesForm, project: Project, surface: Surface
) -> dict[str, Any] | None:
    """Return the slate under the rules that were typed, or put what is wrong with them on the form."""
    ask = find_service(request.META, PREVIEW)
    if ask is None:
        form.add_error(None, _("This process serves no recommendations, so there is no preview."))
        return None
    typed = form.cleaned_data
    body = {
        "surface": surface.key,
        "unit_id": typed["unit_id"] or "preview",
        "k": typed["k"],
        "context": typed["context"],
        "surface_rules": typed[RULES],
        "about": form.item_ids(),
    }
    try:
        answer: dict[str, Any] = ask(project.pk, project.slug, body)
    except RefusedError as error:
        add_refusal(form, error, places=PLACES)
        return None
    for item in answer["about"]:
        for reason in item["reasons"]:
            reason["rule_text"] = orjson.dumps(reason["rule"]).decode() if "rule" in reason else ""
    return answer
