"""Make a folder the artifact store of this database, on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project
from inference.models import ArtifactStore
from inference.serving.store import make_store_id

if TYPE_CHECKING:
    from pathlib import Path


def adopt_store(*, artifacts: Path, by: str) -> ArtifactStore:
    """Take a folder for the store from now on; processes that use another are refused at their start.

    Raises:
        ForeignStoreError: the folder cannot be written.
    """
    store_id = make_store_id(artifacts)
    with transaction.atomic():
        store, _ = ArtifactStore.objects.update_or_create(pk=1, defaults={"store_id": store_id})
        # It is every project's store.
        for project_id in Project.objects.order_by("pk").values_list("pk", flat=True):
            record_audit(
                project_id,
                actor=by,
                action="adopt",
                subject="artifact store",
                detail={"store_id": str(store_id), "folder": str(artifacts)},
            )
    return store
