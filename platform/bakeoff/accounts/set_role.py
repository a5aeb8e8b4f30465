"""Give a person a role in a project, or take it away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.invite import revoke_invitations_by
from bakeoff.accounts.models import Membership, Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ADMIN = Membership.Role.ADMIN


class LastAdminError(Exception):
    """The project would have no administrator."""


def set_role(*, project: Project, person: User, role: str, by: str) -> None:
    """Set a person's role; who is no administrator any more loses the invitations that are open.

    Args:
        project: where.
        person: whose.
        role: one of `Membership.Role`, or "" for none.
        by: who.

    Raises:
        ValueError: no such role.
        LastAdminError: the person is the project's last administrator.
    """
    if role and role not in Membership.Role.values:
        raise ValueError(f"role == '{role}', must be one of {Membership.Role.values}, or empty.")
    with transaction.atomic():
        # Two administrators who take each other's role at once must not both succeed.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        is_admin = project.memberships.filter(user=person, role=ADMIN).exists()
        if role != ADMIN and is_last_admin(project, person):
            raise LastAdminError(f"'{person}' is the last administrator of project '{project}'")
        if role:
            # From now on it is an administrator's word: groups of an identity provider leave it alone.
            Membership.objects.update_or_create(
                user=person, project=project, defaults={"role": role, "from_groups": False}
            )
        else:
            project.memberships.filter(user=person).delete()
        record_audit(project.pk, actor=by, action="set role", subject=f"{person}: {role or 'none'}")
        if is_admin and role != ADMIN:
            revoke_invitations_by(project=project, person=person, by=by)


def is_last_admin(project: Project, person: User) -> bool:
    """Whether a project has this administrator and no other who can sign in."""
    admins = project.memberships.filter(role=ADMIN)
    others = admins.exclude(user=person).filter(user__is_active=True)
    return admins.filter(user=person).exists() and not others.exists()
