"""Surveys of a surface: what users are asked after a slate, and what they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bakeoff.dashboard.access import ANALYST, OPERATOR, may, project_for
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.refusals import show_refusal
from bakeoff.dashboard.rows_in_form import changes_rows
from bakeoff.dashboard.survey_form import SurveyForm
from bakeoff.dashboard.targeting_form import KNOWN_ATTRIBUTES
from experiments.actions.create_survey import ASKING, CannotCreateSurveyError, create_survey
from experiments.actions.switch_survey import switch_survey
from experiments.models import Survey
from experiments.models.experiment import WrongStateError
from experiments.reports.survey_report import report_surveys, written_answers
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
def show_surveys(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a surface's surveys with their answers; create one."""
    saves = request.method == "POST"
    project = project_for(request, slug, OPERATOR if saves else "viewer")
    surfaces = Surface.objects.filter(project=project, kind__in=ASKING).order_by("key")
    key = request.POST.get("surface") or request.GET.get("surface")
    surface = get_object_or_404(surfaces, key=key) if key else surfaces.first()
    form = None
    if surface is not None and saves and changes_rows(request.POST):
        form = SurveyForm(surface, typed=request.POST)
    elif surface is not None:
        form = SurveyForm(surface, request.POST if saves else None)
        if saves and form.is_valid() and _create(request, form, surface):
            return redirect(_address(slug, surface))
    context = {
        "project": project,
        "surfaces": surfaces,
        "surface": surface,
        "results": report_surveys(surface) if surface is not None else [],
        "form": form,
        "attributes": KNOWN_ATTRIBUTES,
        "reviews": may(request.user, project, ANALYST),
        "classifying": Surface.objects.unarchived().filter(project=project, kind=Surface.Kind.CLASSIFY),
    }
    return render(
        request,
        "dashboard/surveys.html",
        context,
        status=422 if form is not None and form.is_bound else 200,
    )


@require_safe
@login_required
def show_answers(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Show what users answered to a question in their own words, the newest first."""
    project = project_for(request, slug)
    surveys = Survey.objects.filter(project=project, kind=Survey.Kind.TEXT)
    survey = get_object_or_404(surveys.select_related("surface"), key=key)
    page = page_of(request, written_answers(survey))
    context = {"project": project, "survey": survey, "page": page}
    return render(request, "dashboard/survey_answers.html", context)


@require_POST
@login_required
def switch(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Turn a survey on or off."""
    project = project_for(request, slug, OPERATOR)
    survey = get_object_or_404(Survey.objects.select_related("surface"), project=project, key=key)
    enabled = request.POST.get("enabled") == "true"
    try:
        switch_survey(survey=survey, enabled=enabled, by=str(request.user))
    except WrongStateError as error:
        show_refusal(request, error)
    else:
        messages.success(request, _("Survey turned on.") if enabled else _("Survey turned off."))
    return redirect(_address(slug, survey.surface))


def _create(request: HttpRequest, form: SurveyForm, surface: Surface) -> bool:
    try:
        create_survey(surface=surface, question=form.read(), by=str(request.user))
    except CannotCreateSurveyError as error:
        form.refuse(error)
    except WrongStateError as error:
        form.add_error(None, str(error))
    else:
        messages.success(request, _("Survey created. Users are asked from now on."))
        return True
    return False


def _address(slug: str, surface: Surface) -> str:
    return f"{reverse('feedback-surveys', args=[slug])}?surface={surface.key}"
