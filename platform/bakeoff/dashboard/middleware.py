"""What holds for every page: headers that keep it to itself, and an address without U+0000."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import QueryDict

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
)
# Unfold and the API's pages bring scripts inside their HTML.
LOOSER = POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'")
WITH_INLINE_SCRIPTS = ("/admin/", "/docs")
API = "/v1/"  # refuses what it does not take by itself


class AddressesWithoutNul:
    """Drops U+0000 from what the address of a page asks for: no row has it, and PostgreSQL refuses it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the address that is left."""
        if "%00" in request.META.get("QUERY_STRING", "") and not request.path_info.startswith(API):
            sent = QueryDict(mutable=True)
            for name, values in request.GET.lists():
                sent.setlist(name.replace("\0", ""), [one.replace("\0", "") for one in values])
            about: Any = request
            about.GET = sent
        return self._get_response(request)


class ContentSecurityPolicy:
    """Sets the policy, and who may keep a copy, on every answer that does not say."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the header."""
        response = self._get_response(request)
        looser = request.path_info.startswith(WITH_INLINE_SCRIPTS)
        response.headers.setdefault("Content-Security-Policy", LOOSER if looser else POLICY)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        # Pages, files and answers of the API are somebody's own; what is for all says so itself.
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response
