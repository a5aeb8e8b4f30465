"""Surveys of a surface: what users are asked after a slate, and what they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from bakeoff.dashboard.access import OPERATOR, project_for
from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.json_field import JsonField
from bakeoff.dashboard.refusals import add_refusal, show_refusal
from experiments.actions.create_survey import ASKING, CannotCreateSurveyError, create_survey
from experiments.actions.switch_survey import switch_survey
from experiments.models import Survey
from experiments.models.experiment import WrongStateError
from experiments.reports.survey_report import report_surveys
from experiments.survey_question import (
    MAX_CHOICE,
    MAX_CHOICES,
    MAX_PERIOD_DAYS,
    MAX_QUESTION,
    MIN_CHOICES,
    SCALES,
    SurveyError,
    SurveyQuestion,
    check_choices,
    check_translations,
    read_translations,
)
from inference.models import Surface

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# A Chinese keyboard writes these of full width.
_NARROW = str.maketrans({"：": ":", "｜": "|"})


class SurveyForm(forms.Form):
    """A question to ask."""

    key = forms.SlugField(label=gettext_lazy("Key"), max_length=64)
    question = forms.CharField(label=gettext_lazy("Question"), max_length=MAX_QUESTION)
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=Survey.Kind.choices)
    choices = forms.CharField(
        label=gettext_lazy("Choices"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("One per line; for questions with choices."),
    )
    percent = forms.FloatField(
        label=gettext_lazy("Users who are asked (%)"), min_value=0.01, max_value=100, initial=100
    )
    period_days = forms.IntegerField(
        label=gettext_lazy("Days until a user is asked again"),
        min_value=1,
        max_value=MAX_PERIOD_DAYS,
        initial=30,
    )
    asks_comment = forms.BooleanField(
        label=gettext_lazy("Users may add a comment"),
        required=False,
        help_text=gettext_lazy("Comments are feedback: they are reviewed, and sorted into themes."),
    )

    variants = forms.CharField(
        label=gettext_lazy("Variants"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy(
            "One per line, as EXPERIMENT/VARIANT: only their users are asked. Empty: users of all variants."
        ),
    )
    condition = JsonField(
        dict,
        label=gettext_lazy("Targeting"),
        help_text=gettext_lazy(
            'JSON condition on attributes: {"country": {"$in": ["DE"]}}. Empty: all users.'
        ),
    )
    translations = forms.CharField(
        label=gettext_lazy("Translations"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "One language per line, its choices after the question: de: Warum nicht? | Zu teuer | Nichts "
            "für mich. The page's language chooses; without a translation users read the question above."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the kinds in the reader's language."""
        super().__init__(*args, **options)
        name_choices(self)

    def clean(self) -> dict[str, Any]:
        """Check that choices are there exactly where the kind has them."""
        data = super().clean() or {}
        data["choices"] = list(dict.fromkeys(_lines(data.get("choices", ""))))
        data["variants"] = list(dict.fromkeys(_lines(data.get("variants", ""))))
        kind = data.get("kind", "")
        try:
            check_choices(kind, data["choices"])
        except SurveyError:
            rule = _("Write %(low)s to %(high)s different choices of at most %(length)s characters.")
            if kind in SCALES:
                rule = _("A scale has no choices: leave this empty.")
            words = {"low": MIN_CHOICES, "high": MAX_CHOICES, "length": MAX_CHOICE}
            self.add_error("choices", rule % words)
            return data
        try:
            data["translations"] = _read_translations(data.get("translations", ""))
            check_translations(read_translations(data["translations"]), data["choices"])
        except SurveyError as error:
            # The sentence names the value: of many lines, the one that is wrong.
            self.add_error("translations", str(error))
        return data

    def read(self) -> SurveyQuestion:
        """Return the question of a valid form."""
        data = dict(self.cleaned_data)
        return SurveyQuestion.parse(data | {"share": data["percent"] / 100})


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read_translations(text: str) -> dict[str, dict[str, Any]]:
    """Read lines such as `de: Warum nicht? | Zu teuer | Nichts für mich`.

    Raises:
        SurveyError: a language stands in two lines.
    """
    read: dict[str, dict[str, Any]] = {}
    for line in _lines(text):
        language, _colon, texts = line.translate(_NARROW).partition(":")
        question, *choices = texts.split("|")
        if language.strip() in read:
            raise SurveyError("translations", language.strip(), "in one line only")
        read[language.strip()] = {"question": question, "choices": choices}
    return read


@require_http_methods(["GET", "POST"])
@login_required
def show_surveys(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a surface's surveys with their answers; create one."""
    saves = request.method == "POST"
    project = project_for(request, slug, OPERATOR if saves else "viewer")
    surfaces = Surface.objects.filter(project=project, kind__in=ASKING).order_by("key")
    key = request.POST.get("surface") or request.GET.get("surface")
    surface = get_object_or_404(surfaces, key=key) if key else surfaces.first()
    form = SurveyForm(request.POST if saves else None)
    if saves and surface is not None and form.is_valid() and _create(request, form, surface):
        return redirect(_address(slug, surface))
    context = {
        "project": project,
        "surfaces": surfaces,
        "surface": surface,
        "results": report_surveys(surface) if surface is not None else [],
        "form": form,
    }
    return render(request, "dashboard/surveys.html", context, status=422 if form.errors else 200)


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
        add_refusal(form, error)
    except WrongStateError as error:
        form.add_error(None, str(error))
    else:
        messages.success(request, _("Survey created. Users are asked from now on."))
        return True
    return False


def _address(slug: str, surface: Surface) -> str:
    return f"{reverse('feedback-surveys', args=[slug])}?surface={surface.key}"
