"""Django's part of a request's trace: which route answered it, of which project."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from bakeoff.request_trace import current_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


class TraceRoutes:
    """Tells a request's trace the route and the project of its page or operation."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; an answer that failed names its request, so that its log can be found."""
        response = self._get_response(request)
        trace = current_trace()
        if trace is None:  # Django without the fast lane
            return response
        if (match := request.resolver_match) is not None:
            trace.route = match.route or "/"
            trace.project = trace.project or str(match.kwargs.get("slug", ""))
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            response.headers["X-Request-Id"] = trace.request_id
        return response
