"""The variants of an experiment as rows of its form: the first row is the control.

A share that is left empty gets its part of what the others leave, so that thirds need no decimals.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.one_line import show_in_line
from bakeoff.dashboard.rows_in_form import Rows, rows_of
from experiments import bounds
from experiments.actions.experiment_draft import VariantDraft
from experiments.assignment import is_whole
from experiments.models import RuleVersion, Variant
from experiments.reports.code_names import name_of
from inference.models import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.http import QueryDict

    from bakeoff.accounts.models import Project

PREFIX = "variants"
MAX_VARIANTS = 20
MAX_VALUE = 5000
NEW_ROWS: tuple[Mapping[str, Any], ...] = (
    {"key": "control", "share": 50},
    {"key": "treatment", "share": 50},
)
SHOWN_DIGITS = 6  # of a share in percent: a stored one that shows the same is not rounded

if TYPE_CHECKING:
    _RowSet = forms.BaseFormSet["VariantRow"]
else:
    _RowSet = forms.BaseFormSet  # Django's has no type arguments when it runs


class VariantRow(forms.Form):
    """One variant; a row in which nothing is filled in is none."""

    key = forms.SlugField(required=False, max_length=64, label=gettext_lazy("Variant"))
    version = forms.TypedChoiceField(required=False, empty_value=None, label=gettext_lazy("Model"))
    value = forms.CharField(  # its length is checked by `clean_value`, where it is not a stored one
        required=False,
        label=gettext_lazy("Value of the flag"),
        widget=forms.TextInput(attrs={"spellcheck": "false", "maxlength": MAX_VALUE}),
    )
    rules = forms.TypedChoiceField(required=False, empty_value=None, label=gettext_lazy("Rules"))
    share = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100,
        label=gettext_lazy("Share (%)"),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )

    def __init__(
        self,
        *args: Any,
        versions: Mapping[str, ModelVersion],
        rules: Mapping[str, RuleVersion],
        choices: Mapping[str, Sequence[tuple[str, str]]],
        stored: Mapping[str, Any],
        **options: Any,
    ) -> None:
        """Offer what the project has.

        Args:
            args: as of a form.
            versions: of models, by their ids, read once for all rows.
            rules: versions of rules, likewise.
            choices: of both fields, as they are shown.
            stored: values of flags that the form showed, by what it showed.
            options: as of a form.
        """
        super().__init__(*args, **options)
        self.stored = stored
        for name, rows in (("version", versions), ("rules", rules)):
            field: Any = self.fields[name]
            field.choices = choices[name]
            field.coerce = partial(_pick, rows)

    @property
    def title(self) -> str:
        """What the row is: the control, or a treatment by its number."""
        number = int(str(self.prefix).rpartition("-")[2])
        if number < 2:
            return _("Treatment") if number else _("Control")
        return _("Treatment %(number)s") % {"number": number}

    def clean(self) -> dict[str, Any]:
        """Want a key where anything else is filled in."""
        row = self.cleaned_data
        others = any(row.get(name) not in (None, "") for name in ("version", "value", "rules", "share"))
        if not row.get("key") and "key" not in self.errors and (others or self.errors):
            self.add_error("key", self.fields["key"].error_messages["required"])
        return row

    def clean_value(self) -> Any:
        """Read JSON as such, and any other text as it is.

        Raises:
            ValidationError: a list or null, which no flag can have, or what no database can hold.
        """
        text = self.cleaned_data["value"].strip()
        if not text:
            return None
        if text in self.stored:
            return self.stored[text]
        MaxLengthValidator(MAX_VALUE)(text)
        value = _read_value(text)
        if value is None or isinstance(value, list):
            raise forms.ValidationError(
                _("“%(value)s” must be true, false, a number, a text or a JSON object.")
                % {"value": text[:40]}
            )
        try:
            bounds.check(value, "value")
            bounds.check_whole_numbers(value, "value")
        except bounds.BoundsError as error:
            raise forms.ValidationError(str(error)) from error
        return value

    def values(self) -> dict[str, Any] | None:
        """Return the variant's parts; None of an empty row."""
        row: dict[str, Any] = self.cleaned_data
        return dict(row) if row.get("key") else None


class VariantRowSet(_RowSet):
    """Variants that share the traffic."""

    def clean(self) -> None:
        """Refuse a key twice, fewer than two variants, and shares that are not 100% together."""
        filled = [form for form in self.forms if form.is_valid() and form.values() is not None]
        if any(form.errors for form in self.forms):
            return
        seen: set[str] = set()
        for form in filled:
            key = form.cleaned_data["key"]
            if key in seen:
                form.add_error("key", _("“%(key)s” stands there twice.") % {"key": key})
            seen.add(key)
        if len(filled) < 2:
            # Raised, so that it stands over the list: there may be no row to put it at.
            raise forms.ValidationError(
                _("%(count)s variants: an experiment compares at least 2.") % {"count": len(filled)}
            )
        shares = [form.cleaned_data["share"] for form in filled]
        total = sum(share or 0 for share in shares)
        words = {"total": f"{total:.{SHOWN_DIGITS}g}"}
        if None not in shares and not is_whole(total / 100):
            filled[-1].add_error(
                "share", _("The shares sum to %(total)s%%; they must sum to 100%%.") % words
            )
        elif None in shares and total >= 100:
            filled[shares.index(None)].add_error(
                "share",
                _(
                    "The other shares sum to %(total)s%% and leave nothing: they must sum to less than 100%%."
                )
                % words,
            )


def variant_list(
    project: Project,
    data: QueryDict | None,
    *,
    typed: QueryDict | None,
    initial: Iterable[Mapping[str, Any]] = NEW_ROWS,
) -> Rows:
    """Return the list of variants for a form.

    Args:
        project: whose models and rules are offered.
        data: what was sent to be stored.
        typed: what was sent to get a row more or less.
        initial: rows that are shown first.
    """
    initial = list(initial)
    versions, rules = _versions_of(project), _rules_of(project)
    about = {
        "stored": {row["value"]: row["stored"] for row in initial if "stored" in row},
        "versions": versions,
        "rules": rules,
        "choices": {
            "version": [
                ("", "–"),
                *(
                    (pk, f"{v.surface.key}: {v.label} ({name_of(v.alias)})")
                    for pk, v in versions.items()
                ),
            ],
            "rules": [("", "–"), *((pk, f"{r.surface.key}: {r}") for pk, r in rules.items())],
        },
    }
    return Rows(
        _("Variants"),
        _(
            "The first is the control, usually the champion. A flag's variant has a value: true, false, a "
            "number, a text or a JSON object. Rules are versions of the surface's; none: those that it "
            "serves. Empty shares get what the others leave, in equal parts; equal shares need the fewest "
            "users."
        ),
        rows_of(
            VariantRow, PREFIX, MAX_VARIANTS, data,
            typed=typed, formset=VariantRowSet, about=about, initial=initial,
        ),
        grows=True,
    )  # fmt: skip


def variants_of(rows: list[dict[str, Any]], stored: Sequence[VariantDraft]) -> list[VariantDraft]:
    """Return the variants of rows that are valid; a stored weight that shows the same stays exact."""
    weights = {variant.key: variant.weight for variant in stored}
    return [
        VariantDraft(
            row["key"],
            row["version"],
            _weight(share, weights.get(row["key"])),
            is_control=number == 0,
            value=row["value"],
            rules=row["rules"],
        )
        for number, (row, share) in enumerate(zip(rows, shares_of(rows), strict=True))
    ]


def shares_of(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the shares of rows in percent; empty ones have equal parts of what is left."""
    stated = [row.get("share") for row in rows]
    empty = stated.count(None)
    rest = max(100 - sum(share for share in stated if share is not None), 0.0)
    return [rest / empty if share is None else share for share in stated]


def rows_of_variants(variants: Iterable[Variant]) -> list[dict[str, Any]]:
    """Return stored variants as rows, the control first."""
    return [
        {
            "key": variant.key,
            "version": variant.model_version_id,
            "value": "" if variant.value is None else show_in_line(variant.value, _read_value),
            "stored": variant.value,
            "rules": variant.rules_id,
            "share": _show_share(variant.weight),
        }
        for variant in sorted(variants, key=lambda one: not one.is_control)
    ]


def rows_of_pair(filled: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that an address fills in: its control, treatment and the treatment's share."""
    try:
        share = float(filled.get("treatment_share") or 50)
    except ValueError:
        share = 50.0
    control, treatment = (dict(row) for row in NEW_ROWS)
    share = share if math.isfinite(share) and 0 < share < 100 else 50.0
    return [
        control | {"version": filled.get("control"), "share": _show_share(1 - share / 100)},
        treatment | {"version": filled.get("treatment"), "share": _show_share(share / 100)},
    ]


def _show_share(weight: float) -> float | int:
    percent = round(100 * weight, SHOWN_DIGITS)
    return int(percent) if percent == int(percent) else percent


def _weight(share: float, stored: float | None) -> float:
    if stored is not None and _show_share(stored) == round(share, SHOWN_DIGITS):
        return stored
    return share / 100


def _read_value(text: str) -> Any:
    """Return JSON as such, and any other text as it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _pick(rows: Mapping[str, Any], pk: object) -> Any:
    """Return a row by its id.

    Raises:
        ValueError: there is none.
    """
    if str(pk) not in rows:
        raise ValueError(f"id == {pk}, must be one of {len(rows)}.")
    return rows[str(pk)]


def _versions_of(project: Project) -> dict[str, ModelVersion]:
    versions = ModelVersion.objects.filter(surface__project=project).select_related("surface")
    return {str(one.pk): one for one in versions}


def _rules_of(project: Project) -> dict[str, RuleVersion]:
    rules = RuleVersion.objects.filter(surface__project=project).select_related("surface")
    return {str(one.pk): one for one in rules}
