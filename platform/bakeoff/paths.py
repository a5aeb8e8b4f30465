"""Which addresses belong to programs: one list for the fast lane and for what Django answers."""

from __future__ import annotations

API_PREFIXES = ("/v1/", "/ofrep/", "/api/", "/sub/")


def is_api(path: str) -> bool:
    """Whether a path belongs to programs, who want errors as JSON."""
    return f"{path}/".startswith(API_PREFIXES)
