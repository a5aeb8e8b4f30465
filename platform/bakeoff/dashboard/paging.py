"""Lists in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator

if TYPE_CHECKING:
    from django.http import HttpRequest

# A screen and a half.
PER_PAGE = 30


def page_of(request: HttpRequest, rows: Any) -> Page[Any]:
    """Return the page of rows that a request asks for; the nearest one that there is."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
