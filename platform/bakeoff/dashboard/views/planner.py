"""The planner: from the smallest change worth shipping to users and weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import project_for
from bakeoff.dashboard.planner_form import PlannerForm
from bakeoff.dashboard.replica_pages import read_page
from bakeoff.plan_answers import amount_in_words, sentences_of
from experiments.scorecards.change_plan import ChangePlan
from experiments.scorecards.plan_words import describe_interleaved

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def show_planner(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how many users and weeks a change takes; its address holds what was filled in."""
    project = project_for(request, slug)
    form = PlannerForm(project, request.GET) if request.GET else PlannerForm.with_first_of_each(project)
    context: dict[str, object] = {"project": project, "form": form}
    if form.is_bound and form.is_valid() and (plan := read_page(request, form.plan)) is not None:
        metric = form.cleaned_data["primary"]
        context |= {
            "plan": plan,
            "metric": metric,
            "mode": form.cleaned_data["mode"],
            "amount": amount_in_words(plan),
            "sentences": sentences_of(plan, metric),
            "interleaved": describe_interleaved(plan) if isinstance(plan, ChangePlan) else "",
            "address": form.experiment_address(plan),
        }
    return render(request, "dashboard/planner.html", context)
