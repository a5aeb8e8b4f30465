"""What the fast lane does for pages: a page runs in a thread of the process that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREVIEW = "bakeoff.preview"
PLAYGROUND = "bakeoff.playground"


def find_service(environ: Mapping[str, Any], name: str) -> Any:
    """Return a service of the process that serves, or None where Django runs alone.

    Args:
        environ: of the page's request, as WSGI has it.
        name: of the service.
    """
    return environ.get("asgi.scope", {}).get(name)
