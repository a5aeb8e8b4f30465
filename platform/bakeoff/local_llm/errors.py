"""What is refused, in the shape that OpenAI's clients read."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that gets no answer.

    Attributes:
        status: of HTTP.
        kind: OpenAI's `type`.
        code: OpenAI's `code`.
        retry_seconds: after which another attempt is worth while; None: it would fail again.
    """

    def __init__(
        self, status: int, message: str, *, kind: str, code: str, retry_seconds: int | None = None
    ) -> None:
        """Keep what the answer says."""
        super().__init__(message)
        self.status, self.kind, self.code, self.retry_seconds = status, kind, code, retry_seconds

    @classmethod
    def invalid(cls, message: str, *, code: str = "invalid_value", status: int = 400) -> ApiError:
        """Return the error of a request that breaks a rule."""
        return cls(status, message, kind="invalid_request_error", code=code)

    @classmethod
    def no_model(cls, name: str) -> ApiError:
        """Return the error of a model that is not served here."""
        message = f"model == '{name[:100]}', is not served here (see GET /v1/models)."
        return cls.invalid(message, code="model_not_found", status=404)

    @classmethod
    def busy(cls, waiting: int) -> ApiError:
        """Return the error of a full queue."""
        message = f"{waiting} requests wait already: try again later."
        return cls(429, message, kind="rate_limit_error", code="queue_full", retry_seconds=1)

    @classmethod
    def too_slow(cls, seconds: float) -> ApiError:
        """Return the error of an answer that did not end within its deadline."""
        message = f"there was no whole answer within {seconds:g} s."
        return cls(504, message, kind="timeout", code="deadline_exceeded")

    @classmethod
    def failed(cls, message: str) -> ApiError:
        """Return the error of a model that cannot be loaded, or that failed."""
        return cls(500, message, kind="server_error", code="model_failed")

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"error": {"message": str(self), "type": self.kind, "code": self.code, "param": None}}
