"""What a browser, or a client, gets when an answer failed: an outage is said as one, with 503."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string

from bakeoff.outages import outage_sentence
from bakeoff.paths import is_api

if TYPE_CHECKING:
    from django.http import HttpRequest

RETRY_SECONDS = "2"


def show_failure(request: HttpRequest) -> HttpResponse:
    """Answer in place of an exception that nobody caught; Django has logged it.

    503 when a server of the platform is away: the same request may be sent again. 500 otherwise. The
    page is rendered without the request, because session and navigation ask the database.
    """
    error = sys.exc_info()[1]  # Django calls this while it handles the exception
    is_outage = error is not None and outage_sentence(error) is not None
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_outage else HTTPStatus.INTERNAL_SERVER_ERROR
    if is_api(request.path_info):
        code = "unavailable" if is_outage else "failed"
        message = (
            "A server of the platform does not answer; try again in a moment."
            if is_outage
            else "The request could not be answered; the reason stands in the log."
        )
        body = {"error": {"code": code, "message": message, "field": None}}
        response: HttpResponse = JsonResponse(body, status=status)
    else:
        page = render_to_string("dashboard/failure.html", {"is_outage": is_outage})
        response = HttpResponse(page, status=status)
    if is_outage:
        response["Retry-After"] = RETRY_SECONDS
    return response
