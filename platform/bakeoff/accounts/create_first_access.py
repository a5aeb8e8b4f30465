"""Create what the first run needs: an administrator, a project and its keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import connection, transaction

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.create_project_with_keys import create_project_with_keys

PASSWORD_BYTES = 12  # 96 random bits: nobody guesses them, and a person can type them


@dataclass(frozen=True, slots=True)
class FirstAccess:
    """Secrets that are known only now, to be shown once."""

    username: str
    password: str
    project: str
    public_key: str
    secret_key: str


def create_first_access() -> FirstAccess | None:
    """Create them on a platform without users; return None on any other."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    # All or nothing: a run that is interrupted in between would show no key, and no later one would.
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Of two first runs at once the second waits here, and finds the first one's administrator.
            cursor.execute("LOCK TABLE auth_user IN SHARE ROW EXCLUSIVE MODE")
        if User.objects.exists():
            return None
        admin = User.objects.create_superuser("admin", password=password)
        new = create_project_with_keys(slug="default", name="Default project", by=PLATFORM, admin=admin)
    return FirstAccess(admin.get_username(), password, new.project.slug, new.public_key, new.secret_key)
