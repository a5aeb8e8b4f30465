"""Create a project that can be used at once: with a public and a secret key, and an administrator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from bakeoff.accounts.create_project import create_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.accounts.models import Membership, Project
from bakeoff.accounts.set_role import set_role

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,64}")


class ProjectRuleError(ValueError):
    """What was asked for breaks a rule; the message names value and rule."""


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project and the texts of its keys, which are known only now."""

    project: Project
    public_key: str
    secret_key: str


def create_project_with_keys(
    *, slug: str, name: str, by: str, admin: User | None = None, key_name: str = "first"
) -> NewProject:
    """Create a project, all of it or nothing.

    Args:
        slug: its name in addresses.
        name: as pages show it.
        by: who creates it.
        admin: becomes its administrator and the owner of its keys; None: nobody.
        key_name: what the names of its keys begin with.

    Raises:
        ProjectRuleError: the slug is none, or is taken.
    """
    if not _SLUG.fullmatch(slug):
        raise ProjectRuleError(
            f"slug == '{slug}', must be 1 to 64 letters, digits, hyphens and underscores."
        )
    try:
        with transaction.atomic():
            project = create_project(slug=slug, name=name, by=by)
            if admin is not None:
                set_role(project=project, person=admin, role=Membership.Role.ADMIN, by=by)
            public_key, secret_key = (
                make_key(
                    project=project,
                    draft=KeyDraft(
                        kind, f"{key_name} {word} key", owner=admin.get_username() if admin else ""
                    ),
                    by=by,
                )[1]
                for kind, word in ((PUBLIC, "public"), (SECRET, "secret"))
            )
    except IntegrityError as error:
        raise ProjectRuleError(f"slug == '{slug}', is taken.") from error
    return NewProject(project, public_key, secret_key)
