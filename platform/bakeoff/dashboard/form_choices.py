"""Choices of forms in the words of their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from django.forms import BaseForm


def name_choices(form: BaseForm) -> None:
    """Show the choices of a form as pages name them."""
    for field in form.fields.values():
        choices = getattr(field, "choices", None)
        if choices:
            field.choices = [(value, name_of(value) if value else "–") for value, _label in choices]  # type: ignore[attr-defined]
