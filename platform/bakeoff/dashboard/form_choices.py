"""Fields and choices that several forms have, in the words of their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from experiments.reports.code_names import name_of
from experiments.stats.policy import MAX_ATTRIBUTE

if TYPE_CHECKING:
    from django.forms import BaseForm


MODES = (
    ("split", gettext_lazy("Split users between the versions")),
    ("interleave", gettext_lazy("Interleave the lists of both versions")),
    ("bandit", gettext_lazy("Bandit: the better variant gets more new users")),
    ("cluster", gettext_lazy("Cluster: each store, team or account gets one version")),
    ("switchback", gettext_lazy("Switchback: all users get one version, drawn for each block of time")),
)
RULES = (
    (
        "group_sequential",
        gettext_lazy("Group sequential: analyse at any time, up to a planned number of users"),
    ),
    ("always_valid", gettext_lazy("Always valid: no plan needed, takes longer")),
    ("exact", gettext_lazy("Exact: for rare conversions or drifting rates")),
    ("fixed", gettext_lazy("Fixed: one analysis at the end")),
)


def name_choices(form: BaseForm) -> None:
    """Show the choices of a form as pages name them."""
    for field in form.fields.values():
        choices = getattr(field, "choices", None)
        if choices:
            field.choices = [(value, name_of(value) if value else "–") for value, _label in choices]  # type: ignore[attr-defined]


def cluster_field(label: Any) -> forms.CharField:
    """Return the field for the attribute that names a cluster; it may stay empty."""
    return forms.CharField(
        max_length=MAX_ATTRIBUTE,
        required=False,
        label=label,
        help_text=gettext_lazy(
            "Such as store. Each of its values gets one variant; at least 20 values in each variant are "
            "needed."
        ),
    )
