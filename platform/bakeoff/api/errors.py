"""Errors of the management API.

Problem             an answer other than 2xx, raised anywhere below an endpoint
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


# The validator's words, and ours.
_WORDS = {
    "Input should be": "must be",
    "List should have": "must have",
    "Dictionary should have": "must have",
    "String should have": "must have",
    " after validation": "",
    "a valid dictionary or object to extract fields from": "an object",
    "a valid dictionary": "an object",
    "a valid list": "a list",
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}


class Problem(Exception):  # noqa: N818  the HTTP world's word (RFC 9457)
    """A refusal with its status."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.code, self.field = status, code, field


def say_invalid(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return the field and the sentence of one of pydantic's errors."""
    parts = [str(part) for part in error["loc"] if part not in {"body", "payload", "query"}]
    if error["type"] in {"renamed", "unknown_field"}:  # found in the object, not in one of its fields
        parts.append(error["ctx"]["field"])
    field = ".".join(parts)
    message = str(error["msg"]).removeprefix("Value error, ").removesuffix(".")
    for words, ours in _WORDS.items():
        message = message.replace(words, ours)
    return field, f"{field or 'body'}: {message}."
