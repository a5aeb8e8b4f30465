"""How a surface's answers are judged: a form on the surface's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.refusals import show_refusal
from experiments.actions.plan_judging import (
    CHECK_SETTINGS,
    CannotPlanJudgingError,
    judging_settings,
    plan_judging,
)
from experiments.models import judge_plan_of
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

MAX_JUDGES = 100  # in the list to choose from: the newest
NUMBERS = ("points", "judge_share", "label_share", "daily_cost", *CHECK_SETTINGS)


def judging_context(surface: Surface) -> dict[str, Any]:
    """Return what the page of a surface that generates shows of its judging."""
    others = ModelVersion.objects.filter(
        surface__project=surface.project_id, surface__kind=Surface.Kind.GENERATE
    ).exclude(surface=surface)
    return {
        "judging": judging_settings(judge_plan_of(surface)),
        "judges": [
            f"{one.surface.key}/{one.label}" for one in others.select_related("surface")[:MAX_JUDGES]
        ],
    }


@require_POST
@login_required
def change_judging(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change the settings of the form."""
    surface = get_object_or_404(Surface, project=project_for(request, slug, OPERATOR), key=key)
    changes: dict[str, Any] = {
        name: request.POST[name] for name in ("judge", "rubric") if name in request.POST
    }
    changes |= {name: _number(request.POST[name]) for name in NUMBERS if name in request.POST}
    try:
        plan_judging(surface=surface, changes=changes, by=str(request.user))
    except CannotPlanJudgingError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("Saved."))
    return redirect("surface", slug, key)


def _number(text: str) -> float | int | str:
    """Return a number where it is one; the action refuses what is none, by its name."""
    if text.isdecimal() and len(text) < 9:
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
