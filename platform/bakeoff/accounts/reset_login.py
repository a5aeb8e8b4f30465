"""Give a superuser a new password, for a platform that one person tries out."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import transaction

from bakeoff.accounts.audit import record_audit

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project

PASSWORD_BYTES = 9  # of a demonstration on this machine; short enough to type


def reset_login(*, username: str, project: Project, by: str) -> str:
    """Create the superuser if there is none, and return the new password, which is known only now.

    Args:
        username: of the superuser.
        project: whose audit trail records it: a person has none.
        by: who asks for it.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with transaction.atomic():
        # Of two demonstrations that start at once one inserts.
        person, _ = User.objects.get_or_create(
            username=username, defaults={"is_staff": True, "is_superuser": True}
        )
        person.set_password(password)
        person.save(update_fields=["password"])
        record_audit(project.pk, actor=by, action="reset password", subject=username)
    return password
