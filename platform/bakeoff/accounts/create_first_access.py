"""Create what the first run needs: an administrator, a project and its keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from bakeoff.accounts.create_project import create_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.accounts.models import Membership
from bakeoff.accounts.set_role import set_role

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
        admin = User.objects.create_superuser("admin", password=password)
        project = create_project(slug="default", name="Default project", by=PLATFORM)
        set_role(project=project, person=admin, role=Membership.Role.ADMIN, by=PLATFORM)
        public_key, secret_key = (
            make_key(
                project=project,
                draft=KeyDraft(kind, f"first {name} key", owner=admin.get_username()),
                by=PLATFORM,
            )[1]
            for kind, name in ((PUBLIC, "public"), (SECRET, "secret"))
        )
    return FirstAccess(admin.get_username(), password, project.slug, public_key, secret_key)
