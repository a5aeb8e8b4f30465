"""The one error shape of the fast lane.

ApiError            an answer other than 2xx, raised anywhere below a handler
BoundsError         a value that no lane takes (experiments/bounds.py): answered 400 by `of_bounds`
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import orjson

from experiments.bounds import BoundsError, shown, stated

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
        closes: whether the connection ends with the answer, because more of the body may come.
        allow: methods, for 405.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        closes: bool = False,
        allow: str = "",
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.field, self.retry_after = field, retry_after
        self.closes, self.allow = closes, allow

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that its status wants."""
        wanted = {
            b"retry-after": "" if self.retry_after is None else str(self.retry_after),
            b"connection": "close" if self.closes else "",
            b"allow": self.allow,
        }
        return [(name, value.encode()) for name, value in wanted.items() if value]

    def body(self) -> bytes:
        """Return the JSON answer."""
        error = {"code": self.code, "message": self.message, "field": self.field}
        return orjson.dumps({"error": error})


def invalid(field: str, value: object, rule: str) -> ApiError:
    """Return a 400 that names value and rule; long values are cut."""
    message = f"{stated(field, value)}, must be {rule}."
    return ApiError(400, "invalid_value", message, field=field)


def of_bounds(error: BoundsError) -> ApiError:
    """Return the 400 of a value that no lane takes."""
    return ApiError(400, error.code, str(error), field=error.field)


def not_found(kind: str, value: str, project: str, known: Iterable[str]) -> ApiError:
    """Return a 404 with the nearest name there is."""
    # Names of the caller's own project only: a hint must not tell what other projects have.
    near = get_close_matches(value, list(known), n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ApiError(
        404,
        f"unknown_{kind}",
        f"{kind} == {shown(value)}, not found in project '{project}'.{hint}",
        field=kind,
    )
