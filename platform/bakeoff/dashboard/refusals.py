"""What an action refused, as pages show it: one way for every form and every button.

An action says `value == x, must be y.`; a page says the same fact in a sentence, in the reader's language,
at the field where it belongs. The templates put the words of readers on the errors of forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.shortcuts import render

from experiments.reports.stored_text import end_sentence, show_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django import forms
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.refused import RefusedError

NOWHERE: Mapping[str, str] = {}


def add_refusal(
    form: forms.BaseForm, error: RefusedError, *, places: Mapping[str, str] = NOWHERE
) -> None:
    """Put a refusal at its field, or over the form where the form does not show that field.

    Args:
        form: that was sent.
        error: what the action refused.
        places: fields of the form, by the action's names for them, where they differ.
    """
    place = places.get(error.field, error.field) if error.field is not None else None
    form.add_error(place if place in form.fields else None, str(error))


def show_refusal(request: HttpRequest, error: Exception) -> None:
    """Show a refusal over the next page, for buttons and forms that show no fields of their own."""
    messages.error(request, end_sentence(show_stored(str(error))))


def refused_page(
    request: HttpRequest, template: str, context: Mapping[str, Any], address: str
) -> HttpResponse:
    """Answer a form that was refused with the page that it stands on.

    Args:
        request: that sent the form, to an address that shows nothing.
        template: of the page.
        context: for the template.
        address: of the page, from which its links lead on.
    """
    return render(request, template, {**context, "page_address": address}, status=422)
