"""Which addresses belong to programs: one list for the fast lane and for what Django answers."""

from __future__ import annotations

API_PREFIXES = ("/v1/", "/ofrep/", "/api/", "/sub/", "/personalizer/")
# Threads by the beginning of a path, the first that fits. Apart, so that slow questions of one key's
# programs hold up no page, and neither holds up who signs in or asks how the platform is; nor does an
# identity provider that does not answer.
POOLS = {
    API_PREFIXES: 4,
    ("/sign-in/organization/",): 2,
    ("/sign-in/", "/sign-out/", "/health/", "/static/"): 2,
}


def is_api(path: str) -> bool:
    """Whether a path belongs to programs, who want errors as JSON."""
    return f"{path}/".startswith(API_PREFIXES)
