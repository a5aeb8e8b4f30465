"""Create a project: the tenant that owns everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project

if TYPE_CHECKING:
    from collections.abc import Collection

SAMPLE_NAME = "Sample shop"


def create_project(*, slug: str, name: str, by: str) -> Project:
    """Create a project; its audit trail begins with this.

    Raises:
        IntegrityError: the slug is taken.
    """
    # A savepoint where the caller has a transaction: a taken slug does not end it.
    with transaction.atomic():
        project = Project.objects.create(slug=slug, name=name)
        record_audit(project.pk, actor=by, action="create project", subject=slug)
    return project


def create_sample_project(*, by: str) -> Project:
    """Create the project of the sample shop, under a free slug; it alone may be removed as a whole."""
    slug = "sample" if not Project.objects.filter(slug="sample").exists() else ""
    with transaction.atomic():
        project = (
            create_project(slug=slug, name=SAMPLE_NAME, by=by)
            if slug
            else create_numbered_project(prefix="sample", name=SAMPLE_NAME, by=by)
        )
        project.is_sample = True
        project.save(update_fields=["is_sample"])
    return project


def create_numbered_project(*, prefix: str, name: str, by: str) -> Project:
    """Create a project under the first free number: `replay-1`, then `replay-2`."""
    while True:
        slug = _next_slug(prefix, Project.objects.values_list("slug", flat=True))
        try:
            return create_project(slug=slug, name=name, by=by)
        except IntegrityError:  # another process took the number first: the next one is free
            continue


def _next_slug(prefix: str, taken: Collection[str]) -> str:
    slugs = set(taken)
    number = 1
    while f"{prefix}-{number}" in slugs:
        number += 1
    return f"{prefix}-{number}"
