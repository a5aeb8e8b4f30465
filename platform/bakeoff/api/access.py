"""Who asks: a secret key, which names its project, and what it may do."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from bakeoff.accounts.actors import KEY
from bakeoff.accounts.keys import (
    ADMIN,
    EXPORT,
    MANAGE,
    READ,
    SCOPES,
    SECRET,
    digest_of,
    expired_sentence,
    may,
)
from bakeoff.accounts.models import ApiKey, Project
from bakeoff.api.errors import Problem
from bakeoff.request_trace import current_trace

USE_WRITTEN_EVERY = timedelta(minutes=1)
# To look needs `read`, to change `manage`. What needs another: by method, or any, and by path.
_NEEDED = (
    ("POST", "/v1/units/erase", ADMIN),
    ("POST", "/v1/units/export", EXPORT),
    ("PATCH", "/v1/project", ADMIN),
    ("", "/v1/keys", ADMIN),
    # A subscription sends what happens in the project elsewhere.
    ("", "/v1/alerts/subscriptions", ADMIN),
    ("GET", "/v1/config", ADMIN),  # has subscriptions
    # Who stores the trail elsewhere needs a key that does little else.
    ("", "/v1/audit", EXPORT),
    ("POST", "/v1/units/assignments", READ),  # a question with a long body
)


class SecretKey(HttpBearer):
    """`Authorization: Bearer sk_…`, or `X-API-Key: sk_…`."""

    def __call__(self, request: HttpRequest) -> ApiKey | None:
        """Return the key of a request, or None."""
        if token := request.headers.get("X-API-Key"):
            return self.authenticate(request, token)
        return cast("ApiKey | None", super().__call__(request))

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """Find a usable secret key.

        Raises:
            Problem: 403, it may not do this.
        """
        keys = ApiKey.objects.usable().filter(kind=SECRET, digest=digest_of(token))
        key = keys.select_related("project").first()
        if key is None:
            _refuse_expired(token)
            return None
        scopes, needed = key.scopes or list(SCOPES), _needed(request)
        if not may(scopes, needed):
            raise Problem(
                403, "scope_needed", f"scopes == {scopes}, must hold '{needed}' for this.", "scopes"
            )
        _note_use(key)
        if (trace := current_trace()) is not None:
            trace.key, trace.project = key.prefix, key.project.slug
        return key


def _refuse_expired(token: str) -> None:
    """Say of a key that has expired when it did.

    Raises:
        Problem: 401.
    """
    key = ApiKey.objects.filter(digest=digest_of(token), revoked_at=None).first()
    if key is not None and key.is_expired and key.expires_at is not None:
        raise Problem(401, "key_expired", expired_sentence(key.expires_at))


def _needed(request: HttpRequest) -> str:
    """Return the scope of an operation."""
    return next(
        (
            scope
            for method, path, scope in _NEEDED
            if method in {"", request.method} and request.path_info.startswith(path)
        ),
        READ if request.method in {"GET", "HEAD"} else MANAGE,
    )


def _note_use(key: ApiKey) -> None:
    """Write when a key was used, at most once a minute: of several at once, one writes."""
    now = timezone.now()
    before = now - USE_WRITTEN_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=before)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def project_of(request: HttpRequest) -> Project:
    """Return the project of the request's key."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return key.project


def person_of(request: HttpRequest) -> str:
    """Return whose word the request is: the key's owner.

    Keys from before owners were kept count as one person: two of them could be one person's.
    """
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return key.owner or "a key without an owner"


def actor_of(request: HttpRequest) -> str:
    """Return who acts, for the audit trail."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return f"{KEY}{key.prefix}…"
