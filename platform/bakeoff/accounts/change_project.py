"""Change what holds for a whole project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project

if TYPE_CHECKING:
    from collections.abc import Mapping


def change_project(*, project: Project, changes: Mapping[str, str | int], by: str) -> Project:
    """Change the named fields of a project; all others stay.

    Raises:
        ValidationError: a value breaks its rule; nothing is changed.
    """
    with transaction.atomic():
        # Fields that another request changes meanwhile are validated, and kept, as they are.
        locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        for name, value in changes.items():
            setattr(locked, name, value)
        locked.clean_fields(exclude=["slug", "name"])
        if changes:
            locked.save(update_fields=list(changes))
            record_audit(locked.pk, actor=by, action="change", subject="project", detail=changes)
    return locked
