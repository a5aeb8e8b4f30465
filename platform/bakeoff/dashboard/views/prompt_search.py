"""Search for a better prompt: a form of a surface that generates; the run's page shows how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from bakeoff.accounts.refused import RefusedError
from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.refusals import add_refusal
from experiments.actions.optimise_prompt import optimise_prompt
from experiments.models import DataSet
from inference.actions.queue_training import CannotTrainError
from inference.models import Surface
from inference.prompt_search import MAX_MONEY, MAX_PROPOSALS, MAX_ROWS, MAX_TOKENS, PromptSearch
from inference.providers import read_providers

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

DEFAULTS = PromptSearch()


class PromptSearchForm(forms.Form):
    """Who proposes, what compares, and what it may cost."""

    provider = forms.ChoiceField(
        label=gettext_lazy("Provider"),
        help_text=gettext_lazy(
            "Of the model that proposes. It reads past requests as they are stored."
        ),
    )
    model = forms.CharField(label=gettext_lazy("Model"), max_length=200)
    data_set = forms.ChoiceField(
        label=gettext_lazy("Data set"),
        help_text=gettext_lazy("Its assertions, and the judge, compare proposals."),
    )
    proposals = forms.IntegerField(
        label=gettext_lazy("Proposals, at most"),
        min_value=1,
        max_value=MAX_PROPOSALS,
        initial=DEFAULTS.proposals,
    )
    rows = forms.IntegerField(
        label=gettext_lazy("Rows that each is tried on"),
        min_value=1,
        max_value=MAX_ROWS,
        initial=DEFAULTS.rows,
    )
    budget_tokens = forms.IntegerField(
        label=gettext_lazy("Budget, tokens"),
        min_value=1,
        max_value=MAX_TOKENS,
        initial=DEFAULTS.budget_tokens,
    )
    budget_money = forms.FloatField(
        label=gettext_lazy("Budget, money"),
        min_value=0.0001,
        max_value=MAX_MONEY,
        initial=DEFAULTS.budget_money,
    )

    def __init__(self, surface: Surface, *args: Any, **options: Any) -> None:
        """Offer the project's providers and the surface's data sets."""
        super().__init__(*args, **options)
        slug = surface.project.slug
        providers = sorted(name for name, one in read_providers().items() if one.serves(slug))
        keys = DataSet.objects.filter(surface=surface).order_by("-is_gate", "key")
        self.fields["provider"].choices = [(name, name) for name in providers]  # type: ignore[attr-defined]
        self.fields["data_set"].choices = [(one.key, one.key) for one in keys]  # type: ignore[attr-defined]


@require_http_methods(["GET", "POST"])
@login_required
def search_prompt(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show the form, or queue the search and show its run."""
    project = project_for(request, slug, OPERATOR)
    surface = get_object_or_404(Surface, project=project, key=key, kind=Surface.Kind.GENERATE)
    form = PromptSearchForm(surface, request.POST or None)
    if form.is_valid():
        try:
            run = optimise_prompt(surface=surface, params=form.cleaned_data, by=str(request.user))
        except RefusedError as error:
            add_refusal(form, error)
        except CannotTrainError as error:
            form.add_error(None, str(error))
        else:
            return redirect("run", run.pk)
    context = {"project": project, "surface": surface, "form": form}
    return render(request, "dashboard/prompt_search.html", context, status=422 if form.errors else 200)
