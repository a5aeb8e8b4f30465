"""The one error shape of the fast lane.

ApiError            an answer other than 2xx, raised anywhere below a handler
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable


class ApiError(Exception):
    """An error answer.

    Attributes:
        status: HTTP status.
        code: machine-readable name.
        message: one sentence that names the value and the rule.
        field: which field of the request, if one.
        retry_after: seconds, for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.field, self.retry_after = field, retry_after

    def body(self) -> bytes:
        """Return the JSON answer."""
        error = {"code": self.code, "message": self.message, "field": self.field}
        return orjson.dumps({"error": error})


def invalid(field: str, value: object, rule: str) -> ApiError:
    """Return a 400 that names value and rule; long values are cut."""
    shown = repr(value)
    if len(shown) > 80:
        shown = shown[:77] + "…"
    return ApiError(400, "invalid_value", f"{field} == {shown}, must be {rule}.", field=field)


def not_found(kind: str, value: str, project: str, known: Iterable[str]) -> ApiError:
    """Return a 404 with the nearest name there is."""
    near = get_close_matches(value, list(known), n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ApiError(
        404,
        f"unknown_{kind}",
        f"{kind} == '{value[:80]}', not found in project '{project}'.{hint}",
        field=kind,
    )
