"""Make a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import Layer

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project


@transaction.atomic
def put_layer(*, project: Project, key: str, by: str) -> Layer:
    """Return the project's layer of this key, made if there is none; its hash never changes."""
    # Of two that create it at once one inserts; the unique key gives the other the same row.
    layer, is_new = Layer.objects.get_or_create(project=project, key=key)
    if is_new:
        record_audit(project.pk, actor=by, action="make layer", subject=key)
    return layer
