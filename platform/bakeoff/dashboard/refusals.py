"""What an action refused, as pages show it: one way for every form and every button.

An action says `value == x, must be y.`; a page says the same fact in a sentence, in the reader's language,
at the field where it belongs. The templates put the words of readers on the errors of forms.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import QueryDict
from django.shortcuts import render
from django.urls import get_script_prefix, resolve

from experiments.reports.stored_text import end_sentence, show_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django import forms
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.refused import RefusedError

NOWHERE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """A form on a page that shows more, as it was sent: the page has it as `request.refused`.

    Attributes:
        form: what the template calls it.
        problem: the sentence, where it belongs to a field of the form.
        values: what was typed, by field.
        at: the field.
    """

    form: str
    problem: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    at: str = ""


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


def show_page_again(
    request: HttpRequest,
    address: str,
    error: RefusedError | Exception,
    *,
    form: str,
    fields: Iterable[str],
) -> HttpResponse:
    """Answer a form that was refused with the page that it stands on, as that page's own view shows it.

    The sentence stands at the field that it is about, or over the page where it is about none.

    Args:
        request: that sent the form, to an address that shows nothing.
        address: of the page, with its query.
        error: what the action refused.
        form: what the page's template calls the form.
        fields: whose values are kept.
    """
    path, _, query = address.partition("?")
    values = {name: request.POST.get(name, "") for name in fields}
    at = getattr(error, "field", None) or ""
    page = copy.copy(request)
    page.method = "GET"
    page.path = path
    # Below a sub-path, addresses have it and patterns do not.
    page.path_info = path.removeprefix(get_script_prefix().rstrip("/"))
    page.GET = QueryDict(query)
    page.META = {**request.META, "REQUEST_METHOD": "GET", "QUERY_STRING": query}
    page.resolver_match = match = resolve(page.path_info)
    if at in values:
        page.refused = RefusedForm(form, str(error), values, at)  # type: ignore[attr-defined]
    else:
        page.refused = RefusedForm(form, "", values)  # type: ignore[attr-defined]
        show_refusal(page, error)
    answer: HttpResponse = match.func(page, *match.args, **match.kwargs)
    answer.status_code = 422
    return answer


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
