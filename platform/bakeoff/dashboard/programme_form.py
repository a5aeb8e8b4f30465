"""The form of a programme: every setting of a surface's autopilot, in the units of people.

Only what a person changed is sent to the action: each field is compared with what the person saw, so two
people who change two settings at once overwrite nothing of each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.rows_in_form import EMPTY_ROWS, Rows
from experiments.actions.change_programme import (
    MAX_DAYS,
    MAX_GUARDRAILS,
    MAX_HOLDBACK_SHARE,
    MAX_MARGIN,
    MAX_RAMP_STEPS,
    MAX_SCREENED,
    MAX_STEP_SECONDS,
    MAX_TREATMENT_SHARE,
)
from experiments.bounds import MAX_BREAKER_ALPHA, MAX_COUNT
from experiments.models import Metric, Programme, programme_of
from experiments.programme.settings import SETTINGS, settings_of
from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bakeoff.accounts.refused import RefusedError
    from inference.models import Surface

IN_PERCENT = frozenset({"holdback_share", "breaker_alpha"})


def _percent(share: float) -> float:
    # 100 x .07 is 7.000000000000001.
    return round(100 * share, 9)


def _share(percent: float) -> float:
    return round(percent / 100, 12)


def _choices(codes: Sequence[str], *, empty: str = "") -> list[tuple[str, str]]:
    first = [("", name_of(f"autopilot {empty}"))] if empty else []
    return [*first, *((code, name_of(f"autopilot {code}")) for code in codes)]


class GuardrailRow(forms.Form):
    """A guardrail; a row without a metric is none."""

    metric = forms.ChoiceField(required=False, label=gettext_lazy("Metric"), show_hidden_initial=True)
    margin = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100 * MAX_MARGIN,
        label=gettext_lazy("Margin (%)"),
        show_hidden_initial=True,
    )

    def __init__(self, *args: Any, metrics: Sequence[str], **options: Any) -> None:
        """Offer the project's metrics by their keys."""
        super().__init__(*args, **options)
        offered: Any = self.fields["metric"]
        offered.choices = [("", "–"), *((key, key) for key in metrics)]

    def clean(self) -> dict[str, Any]:
        """Want a margin where there is a metric."""
        row = self.cleaned_data
        if row.get("metric") and "margin" in row and row["margin"] is None:
            self.add_error("margin", self.fields["margin"].error_messages["required"])
        return row

    def values(self) -> dict[str, Any] | None:
        """Return the guardrail as the programme has it; None of an empty row."""
        row = self.cleaned_data
        if not row.get("metric"):
            return None
        return {"metric": row["metric"], "margin": _share(row["margin"])}


class StepRow(forms.Form):
    """A step of the ramp; a row without a share is none."""

    share = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100 * MAX_TREATMENT_SHARE,
        label=gettext_lazy("Users with the treatment (%)"),
        show_hidden_initial=True,
    )
    hours = forms.FloatField(
        required=False,
        min_value=0,
        max_value=MAX_STEP_SECONDS / 3600,
        label=gettext_lazy("Minimum time (hours)"),
        show_hidden_initial=True,
    )
    units = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_COUNT,
        label=gettext_lazy("Minimum users"),
        show_hidden_initial=True,
    )

    def values(self) -> dict[str, Any] | None:
        """Return the step as the programme has it; None of an empty row."""
        row = self.cleaned_data
        if row.get("share") is None:
            return None
        step = {"share": _share(row["share"]), "minimum_seconds": (row["hours"] or 0) * 3600}
        return step if row["units"] is None else step | {"units": row["units"]}


class ProgrammeForm(forms.Form):
    """The settings; the action checks the rules that concern several of them."""

    primary_metric = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Primary metric"),
        help_text=gettext_lazy("The metric that decides. Without one no automatic experiment starts."),
        show_hidden_initial=True,
    )
    ship_when = forms.ChoiceField(
        required=False, label=gettext_lazy("Ship when"), show_hidden_initial=True
    )
    approval = forms.ChoiceField(label=gettext_lazy("Approval"), show_hidden_initial=True)
    holdback_share = forms.FloatField(
        min_value=0,
        max_value=100 * MAX_HOLDBACK_SHARE,
        label=gettext_lazy("Holdback (%)"),
        help_text=gettext_lazy(
            "Of all users, who stay on the former champion after a promotion. 0: no holdback."
        ),
        show_hidden_initial=True,
    )
    holdback_days = forms.FloatField(
        min_value=0,
        max_value=MAX_DAYS,
        label=gettext_lazy("Holdback (days)"),
        show_hidden_initial=True,
    )
    cooldown_days = forms.FloatField(
        min_value=0,
        max_value=MAX_DAYS,
        label=gettext_lazy("Cool-down (days)"),
        help_text=gettext_lazy("Between two experiments on this surface."),
        show_hidden_initial=True,
    )
    breaker_alpha = forms.FloatField(
        min_value=0,
        max_value=100 * MAX_BREAKER_ALPHA,
        label=gettext_lazy("False trips of the breaker (%)"),
        help_text=gettext_lazy("The highest chance of one in an experiment. 0: no breaker."),
        show_hidden_initial=True,
    )
    interleave_first = forms.IntegerField(
        min_value=0,
        max_value=MAX_SCREENED,
        label=gettext_lazy("Screened by interleaving"),
        help_text=gettext_lazy(
            "How many waiting challengers share lists with the champion for two days before one is tested. "
            "0: none."
        ),
        show_hidden_initial=True,
    )
    refresh = forms.ChoiceField(
        label=gettext_lazy("Refits"),
        help_text=gettext_lazy(
            "When the champion's own algorithm, trained on newer data, replaces it without an experiment."
        ),
        show_hidden_initial=True,
    )
    paused = forms.BooleanField(
        required=False,
        label=gettext_lazy("Paused"),
        help_text=gettext_lazy("No further experiment starts."),
        show_hidden_initial=True,
    )

    def __init__(self, surface: Surface, data: Any = None) -> None:
        """Show what is stored, or what was typed.

        Args:
            surface: whose programme.
            data: what was sent, or None.
        """
        stored = settings_of(programme_of(surface))
        metrics = list(
            Metric.objects.unarchived()
            .filter(project=surface.project_id)
            .order_by("key")
            .values_list("key", flat=True)
        )
        initial = {name: stored[name] for name in SETTINGS if name in self.base_fields}
        initial |= {name: _percent(stored[name]) for name in IN_PERCENT}
        super().__init__(data, initial=initial)
        for name, choices in (
            ("primary_metric", [("", "–"), *((key, key) for key in metrics)]),
            ("ship_when", _choices(Programme.ShipWhen.values, empty="default")),
            ("approval", _choices(Programme.Approval.values)),
            ("refresh", _choices(Programme.Refresh.values)),
        ):
            offered: Any = self.fields[name]
            offered.choices = choices
        self.lists = {
            "guardrails": _guardrails(stored["guardrails"], metrics, data),
            "ramp": _ramp(stored["ramp"], data),
        }

    def parts(self) -> Iterator[forms.BoundField | Rows]:
        """Yield fields and lists in the order of the page."""
        for name in SETTINGS:
            yield self.lists[name] if name in self.lists else self[name]

    def is_valid(self) -> bool:
        """Whether every field and every row is."""
        # All of them are validated, so that one answer shows every fault.
        return all([super().is_valid(), *(rows.formset.is_valid() for rows in self.lists.values())])

    def changes(self) -> dict[str, Any]:
        """Return what the person changed, as the action takes it."""
        changes = {name: self.cleaned_data[name] for name in self.changed_data}
        changes |= {name: _share(changes[name]) for name in IN_PERCENT & changes.keys()}
        for name, rows in self.lists.items():
            if rows.formset.has_changed():
                changes[name] = rows.values()
        return changes

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused, at its setting."""
        if error.field in self.lists:
            self.lists[error.field].refusals.append(str(error))
        else:
            add_refusal(self, error)


def _guardrails(stored: Sequence[Mapping[str, Any]], metrics: Sequence[str], data: Any) -> Rows:
    rows = forms.formset_factory(
        GuardrailRow, extra=EMPTY_ROWS, max_num=MAX_GUARDRAILS, validate_max=True
    )
    initial = [{"metric": one["metric"], "margin": _percent(one["margin"])} for one in stored]
    formset = rows(data, initial=initial, prefix="guardrails", form_kwargs={"metrics": metrics})
    help_text = _(
        "In addition to errors, fallbacks and latency, which are always watched. Empty rows are ignored; "
        "save to get more."
    )
    return Rows(_("Guardrails"), help_text, formset)


def _ramp(stored: Sequence[Mapping[str, Any]], data: Any) -> Rows:
    rows = forms.formset_factory(StepRow, extra=EMPTY_ROWS, max_num=MAX_RAMP_STEPS, validate_max=True)
    initial = [
        {
            "share": _percent(step["share"]),
            "hours": round(step["minimum_seconds"] / 3600, 9),
            "units": step.get("units"),
        }
        for step in stored
    ]
    help_text = _(
        "Shares of all users, in rising order. Without minimum users: as many as reveal the harm that the "
        "step guards against. Empty rows are ignored; save to get more."
    )
    return Rows(_("Ramp"), help_text, rows(data, initial=initial, prefix="ramp"))
