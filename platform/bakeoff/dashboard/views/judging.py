"""How a surface's answers are judged: a form on the surface's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.judging_form import JudgingForm
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.views.surfaces import surface_page
from experiments.actions.plan_judging import CannotPlanJudgingError, plan_judging
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_POST
@login_required
def change_judging(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change the settings of the form."""
    surfaces = Surface.objects.select_related("project")
    surface = get_object_or_404(surfaces, project=project_for(request, slug, OPERATOR), key=key)
    form = JudgingForm(surface, request.POST)
    if not form.is_valid():
        return surface_page(request, surface, judging_form=form)
    try:
        plan_judging(surface=surface, changes=form.changes(), by=str(request.user))
    except CannotPlanJudgingError as error:
        add_refusal(form, error)
        return surface_page(request, surface, judging_form=form)
    messages.success(request, _("Saved."))
    return redirect("surface", slug, key)
