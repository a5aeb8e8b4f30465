"""Errors of the management API.

Problem             an answer other than 2xx, raised anywhere below an endpoint
"""

from __future__ import annotations

from ninja import Schema


class Problem(Exception):  # noqa: N818  the HTTP world's word (RFC 9457)
    """A refusal with its status."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.field = status, code, field


class ErrorBody(Schema):
    """What is wrong."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(Schema):
    """The one error shape."""

    error: ErrorBody


REFUSALS = {
    400: ErrorAnswer,
    401: ErrorAnswer,
    404: ErrorAnswer,
    409: ErrorAnswer,
    422: ErrorAnswer,
}
