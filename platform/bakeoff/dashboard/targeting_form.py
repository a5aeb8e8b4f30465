"""Whom something is for, as rows of a form: an attribute, a comparison and a value each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.one_line import show_in_line
from bakeoff.dashboard.rows_in_form import Rows, rows_of
from experiments import bounds
from experiments.models.sharing import groups_of

MAX_ROWS = 20
MAX_NAME, MAX_VALUE = 100, 2000
KNOWN_ATTRIBUTES = ("id", "country", "language", "device")  # offered as one types; any other is fine
HAS = "$exists"
HAS_NOT = "$missing"  # no operator of conditions: that of above, negated
LISTS = frozenset({"$in", "$nin"})
GROUPS = frozenset({"$inGroup", "$notInGroup"})
COMPARISONS = (
    ("$eq", gettext_lazy("is")),
    ("$ne", gettext_lazy("is not")),
    ("$in", gettext_lazy("is one of")),
    ("$nin", gettext_lazy("is none of")),
    ("$gt", gettext_lazy("is greater than")),
    ("$gte", gettext_lazy("is at least")),
    ("$lt", gettext_lazy("is less than")),
    ("$lte", gettext_lazy("is at most")),
    (HAS, gettext_lazy("is known")),
    (HAS_NOT, gettext_lazy("is not known")),
    ("$inGroup", gettext_lazy("is in the group")),
    ("$notInGroup", gettext_lazy("is not in the group")),
)
# A Chinese keyboard writes a comma of full width, and one that enumerates.
_COMMAS = frozenset(",，、")
# A text in quotes, a comma, what stands between them, or a quote without its other one.
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|[,，、]|[^",，、]+|"')


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import QueryDict

    _RowSet = forms.BaseFormSet["ConditionRow"]
else:
    _RowSet = forms.BaseFormSet  # Django's has no type arguments when it runs


class ConditionRow(forms.Form):
    """One comparison; a row without an attribute and a value is none."""

    attribute = forms.CharField(
        required=False,
        max_length=MAX_NAME,
        label=gettext_lazy("Attribute"),
        widget=forms.TextInput(attrs={"list": "attributes", "spellcheck": "false"}),
    )
    comparison = forms.ChoiceField(choices=COMPARISONS, label=gettext_lazy("Comparison"))
    value = forms.CharField(required=False, max_length=MAX_VALUE, label=gettext_lazy("Compared with"))

    def __init__(self, *args: Any, groups: frozenset[str], has_stored: bool, **options: Any) -> None:
        """Know the project's groups.

        Args:
            args: as of a form.
            groups: keys of the saved groups.
            has_stored: whether stored attributes, `unit.…`, may be named.
            options: as of a form.
        """
        super().__init__(*args, **options)
        self.groups = groups
        self.refused_names = ("$",) if has_stored else ("$", "unit.")

    def clean(self) -> dict[str, Any]:
        """Check that the three fit together."""
        row = self.cleaned_data
        name, value, comparison = (row.get(one, "") for one in ("attribute", "value", "comparison"))
        if not name and value and "attribute" not in self.errors:
            self.add_error("attribute", self.fields["attribute"].error_messages["required"])
        if name.startswith(self.refused_names):
            self.add_error("attribute", _("Name an attribute of the request, such as country."))
        if name and "value" not in self.errors:
            self._check_value(comparison, value)
        if comparison in GROUPS and value and value not in self.groups:
            self.add_error("value", _("“%(value)s” is no group of this project.") % {"value": value})
        return row

    def _check_value(self, comparison: str, value: str) -> None:
        """Refuse a value that is missing, out of place, or cannot be split into several."""
        try:
            several = _values_in(value) if comparison in LISTS else [value] * bool(value)
        except ValueError:
            words = _('Put the whole value in quotes: "Paris, France". A quote in it is written \\".')
            self.add_error("value", words)
            return
        has_none = comparison in {HAS, HAS_NOT}
        if not has_none and not several:
            self.add_error("value", self.fields["value"].error_messages["required"])
        if has_none and several:
            self.add_error("value", _("This comparison has no value: leave this empty."))
        try:
            bounds.check([_read_value(one) for one in several], "value")
        except bounds.BoundsError as error:
            self.add_error("value", str(error))

    def values(self) -> dict[str, Any] | None:
        """Return the comparison as conditions have it; None of an empty row."""
        row = self.cleaned_data
        if not row.get("attribute"):
            return None
        comparison, text = row["comparison"], row["value"]
        if comparison in {HAS, HAS_NOT}:
            test: dict[str, Any] = {HAS: comparison == HAS}
        elif comparison in LISTS:
            test = {comparison: [_read_value(one) for one in _values_in(text)]}
        else:
            test = {comparison: text if comparison in GROUPS else _read_value(text)}
        return {row["attribute"]: test}


class ConditionRows(_RowSet):
    """Comparisons that must all hold."""

    def clean(self) -> None:
        """Refuse a second comparison of one kind for one attribute: the condition has room for one."""
        seen: set[tuple[str, str]] = set()
        for form in self.forms:
            for name, test in (form.values() or {}).items() if form.is_valid() else ():
                operator = next(iter(test))
                if (name, operator) in seen:
                    form.add_error("comparison", _("An attribute has each comparison once."))
                seen.add((name, operator))


def condition_list(
    project_id: int,
    help_text: str,
    data: QueryDict | None,
    *,
    typed: QueryDict | None,
    initial: Iterable[Mapping[str, Any]] = (),
    has_stored: bool = False,
) -> Rows:
    """Return the list of comparisons for a form, under the name `condition`.

    Args:
        project_id: whose groups can be named.
        help_text: what a person should know.
        data: what was sent to be stored.
        typed: what was sent to get a row more or less.
        initial: rows that are shown first.
        has_stored: whether stored attributes, `unit.…`, may be named.
    """
    about = {"groups": frozenset(groups_of(project_id)), "has_stored": has_stored}
    return Rows(
        _("Targeting"),
        help_text,
        rows_of(
            ConditionRow, "condition", MAX_ROWS, data, typed=typed, formset=ConditionRows,
            about=about, initial=initial,
        ),
        grows=True,
    )  # fmt: skip


def condition_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the condition that holds where all rows do."""
    condition: dict[str, Any] = {}
    for row in rows:
        for name, test in row.items():
            condition[name] = condition.get(name, {}) | test
    return condition


def rows_of_condition(condition: Mapping[str, Any]) -> list[dict[str, str]] | None:
    """Return the rows that a condition would come from; None: rows cannot say it.

    Args:
        condition: as it is stored, in the language of conditions.
    """
    rows: list[dict[str, str]] = []
    for name, test in condition.items():
        for operator, value in (test if isinstance(test, dict) else {"$eq": test}).items():
            row = _row_of(name, operator, value)
            if row is None:
                return None
            rows.append(row)
    return rows if len(rows) <= MAX_ROWS else None


def same_condition(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two conditions are the same, whichever way an equality is written."""

    def shown(condition: Mapping[str, Any]) -> object:
        rows = rows_of_condition(condition)
        return condition if rows is None else sorted(tuple(row.items()) for row in rows)

    return shown(one) == shown(other)


def _row_of(name: str, operator: str, value: Any) -> dict[str, str] | None:
    """Return one comparison as a row, or None where a row has no place for it."""
    if not name or name.startswith("$") or len(name) > MAX_NAME or name != name.strip():
        return None
    if operator == HAS and isinstance(value, bool):
        return {"attribute": name, "comparison": HAS if value else HAS_NOT, "value": ""}
    if operator in LISTS:
        several = isinstance(value, list) and value and all(map(_is_plain, value))
        shown = (show_in_line(one, _read_value, may_be_bare=not _splits(one)) for one in value)
        text = ", ".join(shown) if several else ""
    elif operator in GROUPS:
        text = value if isinstance(value, str) else ""
    elif operator in dict(COMPARISONS) and operator not in {HAS, HAS_NOT} and _is_plain(value):
        text = show_in_line(value, _read_value)
    else:
        return None
    if not 0 < len(text) <= MAX_VALUE:
        return None
    return {"attribute": name, "comparison": operator, "value": text}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _splits(value: Any) -> bool:
    """Whether a text among others, with commas between, would be read as several."""
    return isinstance(value, str) and any(sign in value for sign in (*_COMMAS, '"'))


def _values_in(text: str) -> list[str]:
    """Return the values between commas; those in quotes have theirs.

    Raises:
        ValueError: a quote is not one of two around a whole value.
    """
    values = [""]
    for part in _PARTS.findall(text):
        if part in _COMMAS:
            values.append("")
        else:
            values[-1] += part
    values = [one.strip() for one in values if one.strip()]
    for value in values:
        if '"' in value:
            orjson.loads(value)
    return values


def _read_value(text: str) -> Any:
    """Return a number, true or false as such, a text in quotes without them, and any other text as it is."""
    text = text.strip()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, str | int | float) else text
