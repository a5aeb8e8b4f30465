"""The audit trail: every change of state is written here, by the action that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

# As the column is wide.
MAX_SUBJECT = 200


def record_audit(
    project_id: int,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry to a project's audit trail, in the transaction of the change itself.

    Args:
        project_id: whose trail.
        actor: who acts: a username, `key sk_abc…`, or the platform.
        action: what is done, a verb: "start", "edit".
        subject: what it is done to; cut at 200 characters.
        detail: what else explains it, as JSON.
    """
    AuditEntry.objects.create(
        project_id=project_id,
        actor=actor,
        action=action,
        subject=subject[:MAX_SUBJECT],
        detail=dict(detail or {}),
    )
