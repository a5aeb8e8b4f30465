"""Errors of the web framework, told to programs in the one error shape."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from bakeoff.paths import is_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

MAX_PATH = 300  # characters that are compared with the paths there are
# What the framework says in HTML before or beside the API: no such path, wrong method, a host or a
# body that it does not take.
_CODES = {
    400: ("bad_request", "The request is refused."),
    403: ("forbidden", "The request is refused."),
    404: ("not_found", "No such path.{hint} /v1/openapi.json lists all."),
    405: ("wrong_method", "method == {method}, must be one of {allow}."),
    413: ("body_too_large", "The body is too large."),
    500: ("failed", "The request could not be answered."),
}


class JsonErrors:
    """Rewrites errors under the paths of programs; JSON stays as it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap what answers."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        response = self._get_response(request)
        known = _CODES.get(response.status_code)
        if known is None or not is_api(request.path_info) or _is_json(response):
            return response
        code, message = known
        message = message.format(
            method=request.method,
            allow=response.headers.get("Allow", ""),
            hint=_hint(request.path_info) if response.status_code == HTTPStatus.NOT_FOUND else "",
        )
        error = {"code": code, "message": message, "field": None}
        response.content = json.dumps({"error": error}).encode()
        response.headers["Content-Type"] = "application/json"
        response.headers["Content-Length"] = str(len(response.content))
        return response


@cache
def _known_paths() -> list[list[str]]:
    """Return the segments of every path of both lanes."""
    # Late: this middleware is loaded before the API can be.
    from bakeoff.api.application import api  # noqa: PLC0415

    return [path.split("/") for path in api.get_openapi_schema()["paths"]]


def _hint(path: str) -> str:
    """Return the nearest path there is, in words."""
    segments = path[:MAX_PATH].split("/")
    # What a path leaves open is taken as the request has it, if it has as many segments.
    candidates = {
        "/".join(
            segments[n] if name.startswith("{") and n < len(segments) and segments[n] else name
            for n, name in enumerate(known)
        )
        for known in _known_paths()
    }
    near = get_close_matches(path[:MAX_PATH], sorted(candidates), n=1, cutoff=0.7)
    return f" Did you mean {near[0]}?" if near else ""


def _is_json(response: HttpResponse) -> bool:
    kind: str = response.headers.get("Content-Type", "")
    return kind.startswith("application/json")
