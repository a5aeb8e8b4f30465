"""Pictures of the sample shop's goods: drawn when they are asked for, for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from bakeoff.sample.goods import draw, good, number_of

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@cache_control(public=True, max_age=86_400)
def show_picture(request: HttpRequest, item: str) -> HttpResponse:  # noqa: ARG001
    """Give the picture of one of the goods."""
    number = number_of(item)
    if number is None:
        raise Http404
    return HttpResponse(draw(good(number)), content_type="image/svg+xml")
