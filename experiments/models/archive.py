"""Which months of which project are in the archive."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from experiments.archive_names import file_name


class ArchivedMonth(models.Model):
    """A file of the archive: the rows of a project and month of one table.

    Its row is there before the file, so that no file is without one; `archived_at` is written by the
    transaction that drops the month from PostgreSQL, so that a row is in one of both places, never in
    none. It outlives its project: the file is deleted first.
    """

    class Table(models.TextChoices):
        EVENTS = "events"
        SLATES = "slates"

    project = models.ForeignKey("accounts.Project", on_delete=models.DO_NOTHING, db_constraint=False)
    table = models.CharField(max_length=8, choices=Table.choices)
    month = models.DateField(help_text="Its first day.")
    rows = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(
        max_length=64, blank=True, help_text="Of the rows, as they are read back."
    )
    row_hashes = models.CharField(
        max_length=40,
        default="0",
        help_text="Sum of the rows' hashes by PostgreSQL when it was written.",
    )
    last_received_at = models.DateTimeField(
        null=True, help_text="Of its newest row: retention counts from it."
    )
    archived_at = models.DateTimeField(null=True, help_text="Null: PostgreSQL still has the rows.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["month", "table", "project_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "table", "month"], name="a_month_is_archived_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.table} of {self.month:%Y-%m}"

    @property
    def name(self) -> str:
        """Where the file is in the archive."""
        return file_name(self.table, self.project_id, f"{self.month:%Y-%m}")
