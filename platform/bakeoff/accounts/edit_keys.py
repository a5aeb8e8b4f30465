"""Make a key, change what it may do, where and until when, and make it useless."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.keys import PUBLIC, SECRET, scopes_of
from bakeoff.accounts.models import ApiKey, Project
from bakeoff.accounts.readable_times import LAST
from bakeoff.accounts.refused import RefusedError
from bakeoff.public_address import AddressError, PublicUrl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# Compared with the origin of every request of a page.
MAX_ORIGINS = 50
MAX_NAME = 100


class KeyRuleError(RefusedError):
    """A key would break a rule; `field` names where."""


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key to be.

    Attributes:
        kind: pk or sk.
        name: what it is for.
        scopes: what it may do; None: all that its kind may.
        origins: of pages that may use it; empty: every page.
        owner: whose word its approvals are; empty: of the one who makes it.
        expires_at: from when on it is refused; None: never.
    """

    kind: str
    name: str
    scopes: Sequence[str] | None = None
    origins: Sequence[str] = ()
    owner: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a key is to expire.

    Attributes:
        at: from then on it is refused; None: never.
    """

    at: datetime | None


def make_key(*, project: Project, draft: KeyDraft, by: str) -> tuple[ApiKey, str]:
    """Make a key; return it with its text, which is known only now.

    Raises:
        KeyRuleError: kind, name, scopes, origins or the expiry break a rule.
    """
    if draft.kind not in {PUBLIC, SECRET}:
        raise KeyRuleError(f"kind == '{draft.kind}', must be pk or sk.", field="kind")
    name = draft.name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise KeyRuleError(f"name == '{name[:40]}', must be 1 to {MAX_NAME} characters.", field="name")
    scopes = scopes_of(draft.kind) if draft.scopes is None else _scopes(draft.kind, draft.scopes)
    origins = _origins(draft.origins)
    expires_at = _expiry(draft.expires_at)
    with transaction.atomic():
        key, text = ApiKey.make(
            project,
            draft.kind,
            name=name,
            scopes=scopes,
            origins=origins,
            owner=draft.owner or by,
            expires_at=expires_at,
        )
        detail = _detail(key)
        record_audit(project.pk, actor=by, action="make key", subject=str(key), detail=detail)
    return key, text


def change_key(
    *,
    key: ApiKey,
    by: str,
    scopes: Sequence[str] | None = None,
    origins: Sequence[str] | None = None,
    expiry: Expiry | None = None,
) -> ApiKey:
    """Change what a key may do, the pages that may use it, or its end; None leaves it as it is.

    Raises:
        KeyRuleError: scopes, origins or the expiry break a rule.
    """
    with transaction.atomic():
        # Scopes and origins may be changed by two people: neither writes back what it read before.
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if scopes is not None:
            locked.scopes = _scopes(locked.kind, scopes)
        if origins is not None:
            locked.allowed_origins = _origins(origins)
        if expiry is not None:
            locked.expires_at = _expiry(expiry.at)
        locked.save(update_fields=["scopes", "allowed_origins", "expires_at"])
        record_audit(
            locked.project_id,
            actor=by,
            action="change key",
            subject=str(locked),
            detail=_detail(locked),
        )
    return locked


def revoke_key(*, key: ApiKey, by: str) -> ApiKey:
    """Make a key useless from now on; once is enough."""
    with transaction.atomic():
        # Of two that revoke at once, one writes the audit entry.
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is None:
            locked.revoke()
            record_audit(locked.project_id, actor=by, action="revoke key", subject=str(locked))
    return locked


def _detail(key: ApiKey) -> dict[str, object]:
    """Return what the audit trail says of a key."""
    # An end that is none is named, too: who reads the trail sees when it was lifted.
    end = None if key.expires_at is None else key.expires_at.isoformat()
    return {"scopes": key.scopes, "origins": key.allowed_origins, "expires_at": end}


def _expiry(at: datetime | None) -> datetime | None:
    """Return a time to come; `revoke_key` ends a key now."""
    if at is not None and not timezone.now() < at <= LAST:
        raise KeyRuleError(
            f"expires_at == {at.isoformat()}, must be a time to come.", field="expires_at"
        )
    return None if at is None else at.astimezone(UTC)


def _scopes(kind: str, scopes: Sequence[str]) -> list[str]:
    """Return scopes in their order, each once."""
    possible = scopes_of(kind)
    for scope in scopes:
        if scope not in possible:
            raise KeyRuleError(
                f"scope == '{scope}', must be one of {possible} for a {kind}_ key.", field="scopes"
            )
    if not scopes:
        raise KeyRuleError(f"scopes == [], must have one of {possible}.", field="scopes")
    return [scope for scope in possible if scope in scopes]


def _origins(origins: Sequence[str]) -> list[str]:
    """Return origins as browsers send them."""
    if len(origins) > MAX_ORIGINS:
        raise KeyRuleError(
            f"origins == {len(origins)}, must be at most {MAX_ORIGINS}.", field="allowed_origins"
        )
    return list(dict.fromkeys(_origin(text) for text in origins))


def _origin(text: str) -> str:
    try:
        url = PublicUrl.parse(text)
    except AddressError:
        url = None
    if url is None or url.path:
        raise KeyRuleError(
            f"origin == '{text[:80]}', must be scheme and host, such as https://shop.example.",
            field="allowed_origins",
        )
    return url.origin
