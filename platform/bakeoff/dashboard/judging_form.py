"""The form of how a surface's answers are judged: the action knows the rules, this keeps what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.text_box import TextBoxField
from experiments.actions.plan_judging import MAX_RUBRIC, judging_settings
from experiments.models import judge_plan_of
from experiments.models.judgements import MAX_POINTS, MIN_POINTS
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_JUDGES = 100  # in the list to choose from: the newest
TEXTS = ("judge", "rubric")


class JudgingForm(forms.Form):
    """The settings; fields that were not sent stay as they are."""

    judge = forms.CharField(required=False, label=gettext_lazy("Judge"), widget=forms.Select)
    rubric = TextBoxField(
        required=False,
        label=gettext_lazy("What makes an answer good"),
        widget=forms.Textarea(attrs={"rows": 4, "maxlength": MAX_RUBRIC}),
    )
    points = forms.CharField(
        required=False,
        label=gettext_lazy("Points of the scale"),
        widget=forms.NumberInput(attrs={"min": MIN_POINTS, "max": MAX_POINTS}),
    )
    judge_share = forms.CharField(
        required=False, label=gettext_lazy("Share scored by the judge (0 to 1)")
    )
    label_share = forms.CharField(required=False, label=gettext_lazy("Share rated by people (0 to 1)"))
    daily_cost = forms.CharField(required=False, label=gettext_lazy("Judge's budget per day"))
    check_margin = forms.CharField(
        required=False, label=gettext_lazy("Loss that a check accepts (share of rows)")
    )
    check_min_share = forms.CharField(
        required=False, label=gettext_lazy("Share of rows a check needs without a champion")
    )
    check_cost_ratio = forms.CharField(
        required=False, label=gettext_lazy("Cost a check accepts (times the champion's)")
    )
    check_latency_ratio = forms.CharField(
        required=False, label=gettext_lazy("Latency a check accepts (times the champion's)")
    )

    def __init__(self, surface: Surface, data: Mapping[str, Any] | None = None) -> None:
        """Show the settings of now, and offer the versions of other surfaces that generate."""
        shown = judging_settings(judge_plan_of(surface))
        numbers = {name: f"{value:g}" for name, value in shown.items() if name not in TEXTS}
        super().__init__(data, initial=shown | numbers, auto_id="judging-%s")
        judges = [f"{one.surface.key}/{one.label}" for one in _judges(surface)]
        if shown["judge"] and shown["judge"] not in judges:  # or saving would choose none
            judges.insert(0, shown["judge"])
        choice: Any = self.fields["judge"].widget
        choice.choices = [("", gettext_lazy("None")), *((one, one) for one in judges)]

    def changes(self) -> dict[str, Any]:
        """Return what was sent, by setting."""
        sent = {name: value for name, value in self.cleaned_data.items() if name in self.data}
        return {name: value if name in TEXTS else _number(value) for name, value in sent.items()}


def _judges(surface: Surface) -> Any:
    others = ModelVersion.objects.filter(
        surface__project=surface.project_id, surface__kind=Surface.Kind.GENERATE
    ).exclude(surface=surface)
    return others.select_related("surface")[:MAX_JUDGES]


def _number(text: str) -> float | int | str:
    """Return a number where it is one; the action refuses what is none, by its name."""
    if text.isdecimal() and len(text) < 9:
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
