"""Make a saved group, or change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import SavedGroup
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project


def put_group(
    *,
    project: Project,
    key: str,
    attribute: str,
    values: Sequence[Any],
    condition: Mapping[str, Any],
    by: str,
) -> SavedGroup:
    """Write a group; experiments that name it follow at once.

    Raises:
        ValidationError: the condition is malformed.
    """
    with transaction.atomic():
        # Two writers follow each other, so that no group is half of one and half of the other.
        group = SavedGroup.objects.select_for_update().filter(project=project, key=key).first()
        group = group or SavedGroup(project=project, key=key)
        group.attribute, group.values = attribute, list(values)
        group.condition = dict(condition)
        group.clean()
        group.save()
        detail = {"attribute": attribute, "values": len(values), "condition": bool(condition)}
        record_audit(project.pk, actor=by, action="put group", subject=key, detail=detail)
    announce_change(cache_client())
    return group
