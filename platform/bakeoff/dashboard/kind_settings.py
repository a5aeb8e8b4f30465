"""Settings of surfaces that generate or choose, which are stored as objects: a field for each part.

A field is called as the part is: `generate.cache.seconds`. What has its default, and was not stated before, is
not stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.json_field import JsonField
from bakeoff.dashboard.plain_fields import LinesField, nested
from bakeoff.dashboard.table_field import BudgetsField
from inference.models import Surface
from inference.serving.generate_settings import (
    DEFAULTS,
    FULL,
    MAX_CACHE_SECONDS,
    MAX_INPUT_LENGTH,
    NONE,
    REDACTED,
)
from inference.serving.rank_settings import BOUNDS, NO_RANK_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STORED = (
    (NONE, gettext_lazy("none")),
    (REDACTED, gettext_lazy("redacted")),
    (FULL, gettext_lazy("in full")),
)
RANK_FIELDS: tuple[tuple[str, Any, Any], ...] = (
    (
        "control_share",
        gettext_lazy("Share of the default action"),
        gettext_lazy("Of the decisions, whatever the policy says: the control of every comparison."),
    ),
    ("explore", gettext_lazy("Share of random choices"), gettext_lazy("Uniform over the actions.")),
    (
        "wait_seconds",
        gettext_lazy("Wait for a reward (s)"),
        gettext_lazy("After this time the default reward counts."),
    ),
    ("min_reward", gettext_lazy("Lowest reward"), gettext_lazy("Below the highest.")),
    ("max_reward", gettext_lazy("Highest reward"), gettext_lazy("Above the lowest.")),
    (
        "default_reward",
        gettext_lazy("Reward where none came"),
        gettext_lazy("From the lowest to the highest."),
    ),
    (
        "sample",
        gettext_lazy("Share of decisions stored in full"),
        gettext_lazy("With the features of every action."),
    ),
    (
        "apprentice",
        gettext_lazy("Apprenticeship"),
        gettext_lazy(
            "Share of the default actions that a first version must predict before it may choose. 0: none."
        ),
    ),
)


def _generate_fields() -> dict[str, tuple[forms.Field, Any]]:
    """Return the fields of a surface that generates, with what is shown where nothing is stored."""
    return {**_answer_fields(), **_guardrail_fields()}


def _answer_fields() -> dict[str, tuple[forms.Field, Any]]:
    return {
        "public": (
            forms.BooleanField(
                required=False,
                label=gettext_lazy("Public keys may ask"),
                help_text=gettext_lazy(
                    "By variables alone. It needs budgets of each user and address."
                ),
            ),
            DEFAULTS.public,
        ),
        "store": (
            forms.ChoiceField(
                choices=STORED,
                label=gettext_lazy("Texts that are stored"),
                help_text=gettext_lazy("Redacted: without personal data."),
            ),
            DEFAULTS.store,
        ),
        "budgets": (
            BudgetsField(
                label=gettext_lazy("Budgets"),
                help_text=gettext_lazy("What may be spent a day, in UTC. Empty: no limit."),
            ),
            {},
        ),
        "cache.seconds": (
            forms.IntegerField(
                min_value=0,
                max_value=MAX_CACHE_SECONDS,
                label=gettext_lazy("Give the same answer again for (s)"),
                help_text=gettext_lazy("To the same messages, at most 30 days. 0: never."),
            ),
            DEFAULTS.cache.seconds,
        ),
        "cache.during_experiments": (
            forms.BooleanField(
                required=False,
                label=gettext_lazy("Also during experiments"),
                help_text=gettext_lazy("Variants then share answers, which hides differences."),
            ),
            DEFAULTS.cache.during_experiments,
        ),
    }


def _guardrail_fields() -> dict[str, tuple[forms.Field, Any]]:
    return {
        "guardrails.max_input_length": (
            forms.IntegerField(
                min_value=1,
                max_value=MAX_INPUT_LENGTH,
                label=gettext_lazy("Longest request (characters)"),
                help_text=gettext_lazy("Of all messages together."),
            ),
            DEFAULTS.guardrails.max_input_length,
        ),
        "guardrails.blocked_terms": (
            LinesField(
                rows=3,
                label=gettext_lazy("Blocked terms"),
                help_text=gettext_lazy("One a line. Neither messages nor answers may have them."),
            ),
            [],
        ),
        "guardrails.redact": (
            forms.MultipleChoiceField(
                required=False,
                widget=forms.CheckboxSelectMultiple,
                choices=[
                    ("in", gettext_lazy("in messages to the provider")),
                    ("out", gettext_lazy("in answers to users")),
                ],
                label=gettext_lazy("Remove personal data"),
            ),
            [],
        ),
        "prices": (
            JsonField(
                dict,
                label=gettext_lazy("Prices as JSON"),
                help_text=gettext_lazy(
                    "In place of the operator's, by provider and model, for a million tokens: "
                    '{"openai": {"gpt-5-mini": {"input": 0.25, "output": 2}}}'
                ),
            ),
            {},
        ),
    }


def _rank_fields() -> dict[str, tuple[forms.Field, Any]]:
    """Return the fields of a surface that chooses, likewise."""
    fields: dict[str, tuple[forms.Field, Any]] = {}
    for name, label, rule in RANK_FIELDS:
        low, high = BOUNDS[name]
        field = forms.FloatField(min_value=low, max_value=high, label=label, help_text=rule)
        field.widget.attrs["step"] = "any"
        fields[name] = (field, getattr(NO_RANK_SETTINGS, name))
    return fields


SETTINGS = {Surface.Kind.GENERATE: _generate_fields, Surface.Kind.RANK: _rank_fields}


def add_settings(form: forms.BaseForm, kinds: Iterable[str], surface: Surface) -> None:
    """Add the fields of some kinds' settings to a form, filled in with what the surface has."""
    for kind, fields_of in SETTINGS.items():
        if kind not in kinds:
            continue
        stored = getattr(surface, kind.value)
        for part, (field, default) in fields_of().items():
            value = _stored_part(stored, part)
            # Required fields of a form for several kinds may be missing: `settings_of` has the default.
            field.required = False
            field.initial = default if value is None else value
            form.fields[f"{kind}.{part}"] = field


def settings_of(form: forms.BaseForm, kind: str) -> dict[str, Any]:
    """Return the settings of a kind by the name of its column; nothing where nothing was changed."""
    if kind not in SETTINGS:
        return {}
    named = Surface.Kind(kind)
    stored = getattr(form.instance, kind)  # type: ignore[attr-defined]
    values: dict[str, Any] = {}
    for part, (_field, default) in SETTINGS[named]().items():
        value = form.cleaned_data.get(f"{kind}.{part}")
        value = default if value is None or value == "" else value
        was = _stored_part(stored, part)
        if was is not None and f"{kind}.{part}" not in form.changed_data:
            # As it was stored: what a field shows may lack the blanks of a text.
            value = was
        if value != default or (was is not None and was == value):
            values[part] = value
    whole = nested(values)
    return {kind: whole} if whole != stored else {}


def _stored_part(stored: Mapping[str, Any], part: str) -> Any:
    value: Any = stored
    for name in part.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
