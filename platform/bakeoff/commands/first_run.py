"""What the first run makes, and shows once."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.environment import Environment


def first_run(environment: Environment) -> list[str]:
    """Make an administrator, a project and its keys on the first run; return what to show once."""
    stamp = environment.home / "first_run"
    if environment.bundled_postgres and stamp.exists():
        return []
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import transaction

    from bakeoff.accounts.audit import PLATFORM
    from bakeoff.accounts.edit_keys import KeyDraft, make_key
    from bakeoff.accounts.keys import PUBLIC, SECRET
    from bakeoff.accounts.models import Membership, Project

    if User.objects.exists():
        return []
    password = secrets.token_urlsafe(12)
    # All or nothing: a run that is interrupted in between would show no key, and no later one would.
    with transaction.atomic():
        admin = User.objects.create_superuser("admin", password=password)
        project = Project.objects.create(slug="default", name="Default project")
        Membership.objects.create(user=admin, project=project, role=Membership.Role.ADMIN)
        public, secret = (
            make_key(project=project, draft=KeyDraft(kind, f"first {name} key"), by=PLATFORM)[1]
            for kind, name in ((PUBLIC, "public"), (SECRET, "secret"))
        )
    stamp.touch()
    return [
        "First run. This is shown once:",
        f"  login       admin / {password}",
        f"  project     {project.slug}",
        f"  public key  {public}",
        f"  secret key  {secret}",
    ]
