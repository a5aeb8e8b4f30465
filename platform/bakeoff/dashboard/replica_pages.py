"""Pages that read from a replica, but for a person who has just changed something.

Who may see a page is checked on the primary before; a page that shows what the person changed a moment
ago is read there, too, or it would seem that nothing was saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.http import Http404

from experiments.replica import read_from_replica

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

T = TypeVar("T")
COOKIE, SECONDS = "recent_change", 30
READS = ("GET", "HEAD", "OPTIONS")


def read_page(
    request: HttpRequest, work: Callable[[], T], *, permit: Callable[[], object] | None = None
) -> T:
    """Return what some work that only reads returns, from the replica where there is one.

    Args:
        request: that is answered.
        work: it may be called twice.
        permit: raises where the sender may not see it; None: that is known already.
    """
    if settings.REPLICA_DATABASE is None or request.method not in READS or COOKIE in request.COOKIES:
        return work()
    if permit is not None:
        permit()
    return read_from_replica(work, missing=Http404)


class RememberChanges:
    """Marks a browser that has sent a change, for some seconds; only where there is a replica."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the mark after a change."""
        response = self._get_response(request)
        if request.method not in READS and settings.REPLICA_DATABASE is not None:
            response.set_cookie(
                COOKIE,
                "1",
                max_age=SECONDS,
                path=settings.SESSION_COOKIE_PATH,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response
