"""Errors in OpenAI's shape, which its clients turn into their exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from bakeoff.gateway.http.errors import ApiError

# Ours, and what OpenAI's clients know it by.
CODES = {
    "unknown_surface": "model_not_found",
    "surface_archived": "model_not_found",
    "no_valid_key": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "budget_spent": "insufficient_quota",
    "quota_used_up": "insufficient_quota",
}
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    410: "not_found_error",
}
_FIELDS = {"surface": "model"}


def error_fields(error: ApiError) -> dict[str, Any]:
    """Return the error as an object."""
    code = CODES.get(error.code, error.code)
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    if error.status == 429:
        kind = "insufficient_quota" if code == "insufficient_quota" else "rate_limit_error"
    field = None if error.field is None else _FIELDS.get(error.field, error.field)
    kind = _TYPES.get(error.status, kind)
    return {"error": {"message": error.message, "type": kind, "param": field, "code": code}}


def error_body(error: ApiError) -> bytes:
    """Return the error as the body of an answer."""
    return orjson.dumps(error_fields(error))
