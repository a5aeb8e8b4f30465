"""The form of a survey: what is asked, whom, and in which languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.rows_in_form import Rows, rows_of
from bakeoff.dashboard.targeting_form import condition_list, condition_of
from experiments.models import Survey
from experiments.models.surveys import kind_name
from experiments.reports.code_names import name_of
from experiments.survey_question import (
    MAX_CHOICE,
    MAX_CHOICES,
    MAX_LANGUAGES,
    MAX_PERIOD_DAYS,
    MAX_QUESTION,
    MAX_VARIANTS,
    MIN_CHOICES,
    SCALES,
    TEXT,
    SurveyError,
    SurveyQuestion,
    check_choices,
    check_translations,
    read_translations,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import QueryDict

    from bakeoff.accounts.refused import RefusedError
    from inference.models import Surface

MAX_EXPERIMENTS = 100  # whose variants are offered, the newest first


class TranslationRow(forms.Form):
    """The question in another language; a row without a language and a question is none."""

    language = forms.CharField(required=False, max_length=16, label=gettext_lazy("Language"))
    question = forms.CharField(required=False, max_length=MAX_QUESTION, label=gettext_lazy("Question"))
    choices = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("Choices")
    )

    def clean(self) -> dict[str, Any]:
        """Want a language where there is a text."""
        row = self.cleaned_data
        if not row.get("language") and (row.get("question") or row.get("choices")):
            self.add_error("language", self.fields["language"].error_messages["required"])
        return row

    def values(self) -> dict[str, Any] | None:
        """Return the language with its texts; None of an empty row."""
        row = self.cleaned_data
        if not row.get("language"):
            return None
        texts = {"question": row.get("question", ""), "choices": lines_of(row.get("choices", ""))}
        return {row["language"]: texts}


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
    variants = forms.MultipleChoiceField(
        label=gettext_lazy("Variants"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Only users of these variants are asked. None: users of all variants."),
    )

    def __init__(
        self, surface: Surface, data: QueryDict | None = None, *, typed: QueryDict | None = None
    ) -> None:
        """Show an empty form, or what was typed.

        Args:
            surface: whose users are asked.
            data: what was sent to be stored.
            typed: what was sent to get a row more or less: shown again, unchecked.
        """
        super().__init__(data, initial=None if typed is None else self._shown_again(typed))
        name_choices(self)
        kinds: Any = self.fields["kind"]
        kinds.choices = [(kind, name_of(kind_name(kind))) for kind in Survey.Kind.values]
        offered: Any = self.fields["variants"]
        offered.choices = [(one, one) for one in _variants_of(surface)]
        self.lists = {
            "condition": condition_list(
                surface.project_id,
                _(
                    "Only users for whom all rows hold are asked; none: all users. Several values are "
                    "separated by commas; one with a comma stands in quotes. A number in quotes is a "
                    "text. Empty rows are ignored."
                ),
                data,
                typed=typed,
            ),
            "translations": Rows(
                _("Translations"),
                _(
                    "The page's language chooses; without a translation users read the question above. "
                    "Choices stand one per line, in the order of those above. Empty rows are ignored."
                ),
                rows_of(TranslationRow, "translations", MAX_LANGUAGES, data, typed=typed),
                grows=True,
            ),
        }

    def _shown_again(self, typed: QueryDict) -> dict[str, Any]:
        """Return what was typed into the fields."""
        shown: dict[str, Any] = {name: typed.get(name) for name in self.base_fields}
        return shown | {"variants": typed.getlist("variants")}

    def parts(self) -> Iterator[forms.BoundField | Rows]:
        """Yield fields and lists in the order of the page."""
        yield from self
        yield from self.lists.values()

    def is_valid(self) -> bool:
        """Whether every field and every row is."""
        # All of them are validated, so that one answer shows every fault.
        fields, *lists = [super().is_valid(), *(rows.is_valid() for rows in self.lists.values())]
        return all([fields, *lists, all(lists) and self._translations_fit()])

    def clean(self) -> dict[str, Any]:
        """Check that choices are there exactly where the kind has them."""
        data = super().clean() or {}
        data["choices"] = list(dict.fromkeys(lines_of(data.get("choices", ""))))
        kind = data.get("kind", "")
        try:
            check_choices(kind, data["choices"])
        except SurveyError:
            rule = _("Write %(low)s to %(high)s different choices of at most %(length)s characters.")
            if kind in SCALES:
                rule = _("A scale has no choices: leave this empty.")
            elif kind == TEXT:
                rule = _("Users write the answer: leave this empty.")
            words = {"low": MIN_CHOICES, "high": MAX_CHOICES, "length": MAX_CHOICE}
            self.add_error("choices", rule % words)
        if kind == TEXT and data.get("asks_comment"):
            self.add_error("asks_comment", _("The answer is a text already: leave this off."))
        if len(data.get("variants", ())) > MAX_VARIANTS:
            self.add_error("variants", _("Choose at most %(most)s variants.") % {"most": MAX_VARIANTS})
        return data

    def _translations_fit(self) -> bool:
        """Check each translation against the choices; a fault stands at its row."""
        if "choices" in self.errors:
            return False
        seen: set[str] = set()
        formset = self.lists["translations"].formset
        for form in formset if formset.is_bound else ():
            for language, texts in (form.values() or {}).items():
                if language in seen:
                    form.add_error("language", _("Each language has one row."))
                seen.add(language)
                try:
                    check_translations(
                        read_translations({language: texts}), self.cleaned_data.get("choices", ())
                    )
                except SurveyError as error:
                    place = error.field.rpartition(".")[2]
                    form.add_error(place if place in form.fields else "language", str(error))
        return not any(form.errors for form in formset)

    def read(self) -> SurveyQuestion:
        """Return the question of a valid form."""
        data = dict(self.cleaned_data)
        rows = self.lists["translations"].values()
        translations = {language: texts for row in rows for language, texts in row.items()}
        lists = {
            "condition": condition_of(self.lists["condition"].values()),
            "translations": translations,
        }
        return SurveyQuestion.parse(data | lists | {"share": data["percent"] / 100})

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused, at its field or over its list."""
        if error.field in self.lists:
            self.lists[error.field].refusals.append(str(error))
        else:
            add_refusal(self, error)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _variants_of(surface: Surface) -> list[str]:
    """Return EXPERIMENT/VARIANT of a surface's experiments that are not archived."""
    experiments = (
        surface.experiments.exclude(archived_at__isnull=False)
        .order_by("-pk")
        .prefetch_related("variants")[:MAX_EXPERIMENTS]
    )
    return [f"{one.key}/{variant.key}" for one in experiments for variant in one.variants.all()]
