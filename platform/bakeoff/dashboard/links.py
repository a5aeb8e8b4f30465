"""Addresses that leave the page they stand on: in a message, to be sent to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest


def absolute_url(request: HttpRequest, path: str) -> str:
    """Return the address of a path as others reach it: below the public URL, if there is one."""
    if settings.PUBLIC is not None:
        return f"{settings.PUBLIC.origin}{path}"
    return request.build_absolute_uri(path)
