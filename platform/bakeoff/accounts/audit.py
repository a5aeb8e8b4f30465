"""The audit trail: every change of state is written here, by the action that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.models import AuditEntry, Project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User

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


def record_of_person(person: User, *, action: str, detail: Mapping[str, Any] | None = None) -> None:
    """Write what a person did to their own account into the trail of each of their projects.

    A superuser who is a member of none writes into that of the first.
    """
    name = person.get_username()
    projects = (
        list(Project.objects.filter(memberships__user=person)) or Project.objects.order_by("pk")[:1]
    )
    for project in projects:
        record_audit(project.pk, actor=name, action=action, subject=name, detail=detail)
