"""Who asks: a secret key, which names its project."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from ninja.security import HttpBearer

from bakeoff.accounts.keys import SECRET, digest_of
from bakeoff.accounts.models import ApiKey, Project


class SecretKey(HttpBearer):
    """`Authorization: Bearer sk_…`, or `X-API-Key: sk_…`."""

    def __call__(self, request: HttpRequest) -> ApiKey | None:
        """Return the key of a request, or None."""
        if given := request.headers.get("X-API-Key"):
            return self.authenticate(request, given)
        return cast("ApiKey | None", super().__call__(request))

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:  # noqa: ARG002
        """Find a usable secret key."""
        return (
            ApiKey.objects.usable()
            .filter(kind=SECRET, digest=digest_of(token))
            .select_related("project")
            .first()
        )


def project_of(request: HttpRequest) -> Project:
    """Return the project of the request's key."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return key.project


def actor_of(request: HttpRequest) -> str:
    """Return who acts, for the audit trail."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return f"key {key.prefix}…"
