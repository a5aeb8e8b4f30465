"""Conditional requests: a client that has the newest answer gets 304 and no body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.gateway.http.routes import Headers


def validators(etag: str) -> Headers:
    """Return the headers by which a client asks again."""
    return [(b"etag", etag.encode()), (b"cache-control", b"no-cache")]


def etag_matches(header: str, etag: str) -> bool:
    """Whether `If-None-Match` names an etag: strong or weak (a proxy that packs weakens it), or `*`."""
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return etag in named or "*" in named
