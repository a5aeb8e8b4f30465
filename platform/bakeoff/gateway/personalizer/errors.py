"""Errors in the shape that clients of Azure Personalizer read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from bakeoff.gateway.http.errors import ApiError

BAD_RANK, BAD_REWARD, BAD_ACTIVATION = "BadRequest", "InvalidRewardRequest", "InvalidEventIdToActivate"
_NAMED = {404: "ResourceNotFound", 405: "MethodNotAllowed"}


def error_body(error: ApiError, *, refusal: str) -> bytes:
    """Return an error as the body of an answer.

    Args:
        error: ours.
        refusal: code of what is wrong with a request to the route.
    """
    if error.status >= 500:
        code = "InternalServerError"
    # The gateway before that service named these by their numbers.
    elif error.status in {401, 403, 429}:
        code = str(error.status)
    else:
        code = _NAMED.get(error.status, refusal)
    return orjson.dumps({"error": {"code": code, "message": error.message}})
