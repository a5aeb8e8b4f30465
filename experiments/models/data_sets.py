"""Data sets: inputs that versions which generate are checked on before they meet users."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DataSet(models.Model):
    """Inputs of a surface with what their answers must hold: loaded, or frozen from past requests."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="data_sets")
    key = models.SlugField(max_length=64)
    assertions: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list, blank=True, help_text="What every answer must hold."
    )
    is_gate = models.BooleanField(
        default=False, help_text="Whether each new version is checked on it by itself."
    )
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["surface", "key"], name="a_surface_has_a_data_set_once"),
            models.UniqueConstraint(
                fields=["surface"], condition=Q(is_gate=True), name="a_surface_has_one_gate_data_set"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class DataSetRow(models.Model):
    """One input; of a past request with whose it was, so that erasure finds it."""

    data_set = models.ForeignKey(DataSet, on_delete=models.CASCADE, related_name="rows")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    unit_id = models.CharField(max_length=200, blank=True)
    messages: models.JSONField[list[dict[str, Any]]] = models.JSONField(default=list, blank=True)
    variables: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    assertions: models.JSONField[list[dict[str, Any]]] = models.JSONField(default=list, blank=True)
    frozen_at = models.DateTimeField(
        null=True, blank=True, help_text="Of a past request: it goes with the project's retention."
    )

    class Meta:
        indexes = [models.Index(fields=["project", "unit_id"], name="data_set_rows_by_unit")]

    def __str__(self) -> str:
        return f"row {self.pk}"


class RowAnswer(models.Model):
    """What a version answered to a row; it is asked once, however often it is checked."""

    row = models.ForeignKey(DataSetRow, on_delete=models.CASCADE, related_name="answers")
    version = models.ForeignKey("inference.ModelVersion", on_delete=models.CASCADE, related_name="+")
    text = models.TextField(blank=True)
    error = models.CharField(max_length=200, blank=True)
    cost = models.FloatField(default=0.0)
    latency_ms = models.FloatField(default=0.0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["row", "version"], name="a_version_answers_a_row_once")
        ]

    def __str__(self) -> str:
        return f"{self.version_id} on {self.row_id}"


class VersionCheck(models.Model):
    """A version answers a data set, beside the champion of the time."""

    class State(models.TextChoices):
        QUEUED = "queued"
        PASSED = "passed"
        REFUSED = "refused"
        FAILED = "failed"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    version = models.ForeignKey(
        "inference.ModelVersion", on_delete=models.CASCADE, related_name="checks"
    )
    data_set = models.ForeignKey(DataSet, on_delete=models.CASCADE, related_name="checks")
    rival = models.ForeignKey(
        "inference.ModelVersion", null=True, on_delete=models.CASCADE, related_name="+"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    message = models.CharField(max_length=300, blank=True)
    result: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one process makes it, and no other."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "data_set"],
                condition=Q(state="queued"),
                name="a_version_is_checked_once_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.data_set}"

    @property
    def code(self) -> str:
        """Return what pages look the state's name up by."""
        return f"check {self.state}"
