"""The form that defines an experiment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.draft_in_form import (
    POLICY_FIELDS,
    in_mode,
    metrics_of,
    policy_of,
)
from bakeoff.dashboard.json_field import JsonField
from bakeoff.dashboard.metric_form import TagsField
from bakeoff.dashboard.mode_fields import (
    HEADINGS,
    ModeFields,
    Part,
    changed_by_mode,
    parts_of,
    shown_in_mode,
)
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.surface_policy import SHOWN, follow_surface, policy_to_store
from bakeoff.dashboard.targeting_form import condition_list, condition_of, same_condition
from bakeoff.dashboard.text_box import TextBoxField
from bakeoff.dashboard.variant_rows import rows_of_pair, shares_of, variant_list, variants_of
from experiments.actions.define_experiment import MAX_EXPERIMENT_NAME
from experiments.actions.experiment_draft import DEFAULT_BREAKER_ALPHA, ExperimentDraft
from experiments.bounds import MAX_BREAKER_ALPHA
from experiments.models import Experiment, Layer, Metric
from experiments.reports.code_names import name_of
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import QueryDict

    from bakeoff.accounts.models import Project
    from bakeoff.accounts.refused import RefusedError


class ExperimentForm(ModeFields):
    """The fields of an experiment; the action checks the rules."""

    surface = forms.ModelChoiceField(
        Surface.objects.none(),
        label=gettext_lazy("Surface"),
        help_text=gettext_lazy(
            "The place in your product where traffic is split. What you leave as it is of its decision "
            "policy holds as it is set there."
        ),
    )
    key = forms.SlugField(
        max_length=100,
        label=gettext_lazy("Key"),
        help_text=gettext_lazy("Used in URLs and SDKs: letters, digits, - and _."),
    )
    name = forms.CharField(
        max_length=MAX_EXPERIMENT_NAME,
        required=False,
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("Shown on pages and in reports. Empty: the key is shown."),
    )
    tags = TagsField(
        required=False,
        label=gettext_lazy("Tags"),
        help_text=gettext_lazy("Separated by commas: engagement, revenue."),
    )
    hypothesis = TextBoxField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=5000,
        required=False,
        label=gettext_lazy("Hypothesis"),
        help_text=gettext_lazy("We believe that … improves …, because …"),
    )
    allocation = forms.FloatField(
        min_value=0.1,
        max_value=100,
        initial=100,
        label=gettext_lazy("Traffic (%)"),
        help_text=gettext_lazy("You can raise it later; users keep their variant."),
    )
    primary = forms.ModelChoiceField(
        Metric.objects.none(),
        label=gettext_lazy("Primary metric"),
        help_text=gettext_lazy("The metric that decides."),
    )
    secondary = forms.ModelMultipleChoiceField(
        Metric.objects.none(),
        required=False,
        label=gettext_lazy("Secondary metrics"),
        widget=forms.CheckboxSelectMultiple,
    )
    guardrails = forms.ModelMultipleChoiceField(
        Metric.objects.none(),
        required=False,
        label=gettext_lazy("Guardrails"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Must not get worse by more than the margin."),
    )
    margin = forms.FloatField(
        min_value=0, max_value=100, initial=5, label=gettext_lazy("Guardrail margin (%)")
    )
    minimum_days = forms.FloatField(
        min_value=0,
        max_value=365,
        initial=7,
        label=gettext_lazy("Minimum duration (days)"),
        help_text=gettext_lazy("Use whole weeks, so that every weekday counts equally."),
    )
    window_hours = forms.FloatField(
        min_value=0.001,
        max_value=24 * 90,
        initial=24,
        label=gettext_lazy("Conversion window (hours)"),
        help_text=gettext_lazy("Events count for this long after a user first sees a variant."),
    )
    promote = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Auto-ship the winner"),
        help_text=gettext_lazy("If off, Bakeoff proposes and a person decides."),
    )
    breaker_alpha = forms.FloatField(
        min_value=0,
        max_value=100 * MAX_BREAKER_ALPHA,
        initial=100 * DEFAULT_BREAKER_ALPHA,
        label=gettext_lazy("False trips of the breaker (%)"),
        help_text=gettext_lazy("The highest chance of one in an experiment. 0: no breaker."),
    )
    hashing = forms.ChoiceField(
        choices=Experiment.Hashing.choices, label=gettext_lazy("Hashing"), required=False
    )
    layer = forms.ModelChoiceField(Layer.objects.none(), required=False, label=gettext_lazy("Layer"))
    slot_low = forms.FloatField(
        min_value=0,
        max_value=100,
        initial=0,
        required=False,
        label=gettext_lazy("Layer range from (%)"),
    )
    slot_high = forms.FloatField(
        min_value=0,
        max_value=100,
        initial=100,
        required=False,
        label=gettext_lazy("Layer range to (%)"),
    )
    condition = JsonField(
        dict,
        label=gettext_lazy("Targeting as JSON"),
        help_text=gettext_lazy(
            'In place of rows, for what they cannot say: {"$or": [{"country": "DE"}, {"age": {"$gt": 17}}]}.'
        ),
    )
    segments = forms.CharField(
        required=False,
        label=gettext_lazy("Segments"),
        help_text=gettext_lazy("Attributes to break the effect down by, separated by commas."),
    )
    sticky = forms.BooleanField(
        required=False, label=gettext_lazy("Keep users in their variant when shares change (sticky)")
    )
    against_gate = forms.BooleanField(
        required=False,
        label=gettext_lazy("Allow a version that its gate rejected"),
        help_text=gettext_lazy("Marked in the report and in the audit log under your name."),
    )

    policy_of = forms.CharField(
        widget=forms.HiddenInput,
        required=False,
        max_length=20,
        label="surface whose policy is shown",
    )
    read_as = forms.CharField(
        widget=forms.HiddenInput, required=False, max_length=64, label="fingerprint of the draft"
    )

    def __init__(
        self,
        project: Project,
        data: QueryDict | None = None,
        *,
        typed: QueryDict | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        """Offer what the project has.

        Args:
            project: whose experiments.
            data: what was sent to be stored.
            typed: what was sent to get a row more or less: shown again, unchecked.
            initial: what is shown first.
        """
        data = data and follow_surface(project, data)
        typed = typed and follow_surface(project, typed)
        shown = shown_in_mode(initial or {}) if typed is None else self._shown_again(typed)
        super().__init__(data, initial=shown)
        self.project = project
        self.lists = {
            "variants": variant_list(
                project, data, typed=typed, initial=shown.get("variants") or rows_of_pair(shown)
            ),
            "condition": condition_list(
                project.pk,
                _(
                    "Only users for whom all rows hold take part; none: all users. Several values are "
                    "separated by commas; one with a comma stands in quotes. A number in quotes is a text."
                ),
                data,
                typed=typed,
                initial=shown.get("condition_rows", ()),
                has_stored=True,
            ),
        }
        surfaces = Surface.objects.unarchived().filter(project=project).order_by("key")
        metrics = Metric.objects.unarchived().filter(project=project).order_by("key")
        for name, rows in (
            ("surface", surfaces),
            ("primary", metrics),
            ("secondary", metrics),
            ("guardrails", metrics),
            ("layer", Layer.objects.filter(project=project).order_by("key")),
        ):
            field: Any = self.fields[name]
            field.queryset = rows
        hashing: Any = self.fields["hashing"]
        hashing.choices = [(code, name_of(code)) for code in Experiment.Hashing.values]

    def _shown_again(self, typed: QueryDict) -> dict[str, Any]:
        """Return what was typed into the fields."""
        lists = {"secondary", "guardrails"}
        return {
            name: typed.getlist(name) if name in lists else typed.get(name) for name in self.base_fields
        }

    def is_valid(self) -> bool:
        """Whether every field and every row is."""
        # All of them are validated, so that one answer shows every fault.
        parts = [super().is_valid(), *(rows.is_valid() for rows in self.lists.values())]
        if not all(parts):
            return False
        if self.cleaned_data["condition"] and self.lists["condition"].values():
            self.add_error("condition", _("Fill in the rows of targeting or this field, not both."))
        return not self.errors

    @property
    def was_refused(self) -> bool:
        """Whether a field, a row or a list was refused."""
        return bool(self.errors) or any(rows.is_wrong() for rows in self.lists.values())

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused, at its field or over its list."""
        written_as_json = error.field == "condition" and self.cleaned_data["condition"]
        if error.field in self.lists and not written_as_json:
            self.lists[error.field].refusals.append(str(error))
        else:
            add_refusal(self, error, places=PLACES | {"policy": self.place_in_policy(str(error))})

    def followed(self, sent: QueryDict) -> list[Any]:
        """Return the fields that show another surface's policy than what was sent, to be put in place."""
        names = ("policy_of", *SHOWN)
        return [
            self[name].as_widget(attrs={"hx-swap-oob": "true"})
            for name in names
            if self.data.get(name) != sent.get(name)
        ]

    def shares(self) -> list[float]:
        """Return the shares of the variants that are filled in, in percent; none while rows are wrong."""
        rows = self.lists["variants"]
        return shares_of(rows.values()) if rows.is_valid() else []

    def _condition(self) -> dict[str, Any]:
        return self.cleaned_data["condition"] or condition_of(self.lists["condition"].values())

    def sections(self) -> list[tuple[Any, list[Part], bool]]:
        """Return the form's sections: title, fields and lists, whether it is open."""
        parts = (
            (_("Basics"), ("name", "key", "surface", "hypothesis", "tags"), True),
            (_("Variants"), ("variants", "mode", *HEADINGS, "allocation"), True),
            (_("Metrics"), ("primary", "guardrails", "margin", "secondary"), True),
            (
                _("Decision rule"),
                ("rule", "planned_units", "minimum_days", "window_hours", "breaker_alpha", "promote"),
                True,
            ),
            (
                _("Targeting and advanced"),
                (
                    "condition_rows", "condition", "segments", "hashing", "layer", "slot_low", "slot_high", "sticky",
                    "against_gate",
                ),
                False,
            ),
        )  # fmt: skip
        lists: dict[str, Any] = {
            "variants": self.lists["variants"],
            "condition_rows": self.lists["condition"],
        }
        return [
            (
                title,
                parts_of(self, names, lists),
                is_open
                or any(lists[n].is_wrong() if n in lists else self.errors.get(n) for n in names),
            )
            for title, names, is_open in parts
        ]

    def draft(self, *, owner: str) -> ExperimentDraft:
        """Return what was filled in as a draft to be."""
        filled = self.cleaned_data
        return ExperimentDraft(
            surface=filled["surface"],
            key=filled["key"],
            owner=owner,
            variants=variants_of(self.lists["variants"].values(), ()),
            condition=self._condition(),
            metrics=metrics_of(filled, (), new_margin=True),
            policy=policy_to_store(filled, self.project),
            **self._plain(self.fields),
        )

    def apply_to(self, stored: ExperimentDraft) -> ExperimentDraft:
        """Return a stored draft with the fields that were changed here; all others stay."""
        filled = self.cleaned_data
        changed = changed_by_mode(stored.mode, filled["mode"], self.changed_data)
        named = self._plain(changed)
        if "surface" in changed:
            named["surface"] = filled["surface"]
        if "key" in changed:
            named["key"] = filled["key"]
        if rows := self.lists["variants"].values():
            named["variants"] = variants_of(rows, stored.variants)
        if not same_condition(self._condition(), stored.condition):
            named["condition"] = self._condition()
        if changed & {"primary", "secondary", "guardrails", "margin"}:
            # Each guardrail keeps its own margin, unless the field itself was changed.
            named["metrics"] = metrics_of(filled, stored.metrics, new_margin="margin" in changed)
        if policy := policy_of(filled, changed & POLICY_FIELDS):
            named["policy"] = {**stored.policy, **policy}
        if "policy" in named or "mode" in named:
            mode = named.get("mode", stored.mode)
            named["policy"] = in_mode(mode, named.get("policy", stored.policy), before=stored.mode)
        return replace(stored, **named)

    def copy_to(self, base: ExperimentDraft) -> ExperimentDraft:
        """Return another experiment's plan with what was changed here, and this key and name."""
        filled = self.cleaned_data
        return replace(self.apply_to(base), key=filled["key"], name=filled["name"])

    def _plain(self, names: Iterable[str]) -> dict[str, Any]:
        """Return those of the named fields that stand alone, as the draft has them."""
        filled, wanted = self.cleaned_data, set(names)
        fields: dict[str, Any] = {
            name: filled[name]
            for name in ("name", "tags", "hypothesis", "against_gate", "sticky")
            if name in wanted
        }
        if "allocation" in wanted:
            fields["allocation"] = filled["allocation"] / 100
        if "breaker_alpha" in wanted:
            fields["breaker_alpha"] = filled["breaker_alpha"] / 100
        if "segments" in wanted:
            fields["segments"] = [n.strip() for n in filled["segments"].split(",") if n.strip()]
        if "mode" in wanted:
            fields["mode"] = filled["mode"] or Experiment.Mode.SPLIT
        if "hashing" in wanted:
            fields["hashing"] = filled["hashing"] or Experiment.Hashing.SHA256
        if wanted & {"layer", "slot_low", "slot_high"}:
            low, high = (filled["slot_low"] or 0) / 100, (filled["slot_high"] or 100) / 100
            fields["layer"] = filled["layer"]
            fields["slot"] = (low, high) if filled["layer"] else (0.0, 1.0)
        return fields

    def accept_newer(self) -> None:
        """Say that somebody else changed the draft; saving again puts these values over theirs."""
        self.add_error(
            None,
            _(
                "Someone else changed this draft in the meantime. Your changes are not saved yet: save again "
                "to overwrite theirs, or reload the draft to see them."
            ),
        )
        sent: Any = self.data
        data = sent.copy()  # a request's own data cannot be changed
        data["read_as"] = self.initial["read_as"]
        self.data = data


# Where the form shows what the action calls otherwise.
PLACES = {"metrics": "primary", "slot": "slot_low"}
