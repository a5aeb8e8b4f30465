"""Where a project's records are copied to, and how far that has come."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DataExport(models.Model):
    """A folder that gets a project's events, exposures and decisions as Parquet, each row once.

    `positions` says up to where each table is in the folder, `pending` up to where the files that are
    being written go. A run that was cut off is begun again with the same `pending`: it writes files of
    the same names and content, so that no row is missing or there twice.
    """

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="exports")
    folder = models.CharField(max_length=1000, help_text="On the machine of the worker, absolute.")
    every_seconds = models.PositiveIntegerField(null=True, help_text="Null: by command only.")
    positions: models.JSONField[dict[str, int]] = models.JSONField(default=dict)
    pending: models.JSONField[dict[str, int] | None] = models.JSONField(null=True)
    rows = models.PositiveBigIntegerField(default=0, help_text="Written so far.")
    finished_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["folder"]
        constraints = [
            models.UniqueConstraint(fields=["folder"], name="one_export_per_folder"),
            models.CheckConstraint(
                condition=Q(every_seconds__isnull=True) | Q(every_seconds__gte=60),
                name="an_export_waits_a_minute",
            ),
        ]

    def __str__(self) -> str:
        return self.folder
