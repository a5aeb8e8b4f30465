"""Keys as serving knows them: each change is announced to the web processes, which keep keys in memory.

`bakeoff.accounts` lies below `inference` and cannot tell it. So faces call these; the rules and the
audit entries are those of `bakeoff.accounts.edit_keys`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts import edit_keys
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.accounts.edit_keys import Expiry, KeyDraft
    from bakeoff.accounts.models import ApiKey, Project


def make_key(*, project: Project, draft: KeyDraft, by: str) -> tuple[ApiKey, str]:
    """Make a key; return it with its text, which is not stored.

    Raises:
        KeyRuleError: kind, name, scopes, origins or the expiry break a rule.
    """
    key_and_text = edit_keys.make_key(project=project, draft=draft, by=by)
    announce_change(cache_client())
    return key_and_text


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
    changed = edit_keys.change_key(key=key, by=by, scopes=scopes, origins=origins, expiry=expiry)
    announce_change(cache_client())
    return changed


def revoke_key(*, key: ApiKey, by: str) -> ApiKey:
    """Revoke a key: web processes refuse it within a moment."""
    revoked = edit_keys.revoke_key(key=key, by=by)
    announce_change(cache_client())
    return revoked
