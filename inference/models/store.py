"""Which folder of artifacts belongs to this database."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ArtifactStore(models.Model):
    """The identity of the one store whose artifacts this database's versions name; one row."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    store_id = models.UUIDField(help_text="The store has it too, in its file `store_id`.")
    adopted_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="there_is_one_artifact_store")]

    def __str__(self) -> str:
        return str(self.store_id)
