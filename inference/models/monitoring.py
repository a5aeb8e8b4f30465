"""What is watched beside the traffic: shadows' answers, and whether the data have moved."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now


class ShadowAnswer(models.Model):
    """What a version in shadow would have answered to one real request; nobody saw it."""

    version = models.ForeignKey(
        "inference.ModelVersion", on_delete=models.CASCADE, related_name="shadow_answers"
    )
    recommendation_id = models.UUIDField()
    served_by = models.CharField(max_length=100)
    overlap = models.FloatField(null=True, help_text="Share of the served top k that is in its own.")
    correlation = models.FloatField(
        null=True, help_text="Spearman's, of both models' scores of the same candidates."
    )
    latency_ms = models.FloatField(null=True)
    error = models.CharField(max_length=300, blank=True)
    unit_id = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="Whose request it was, where a text is kept.",
    )
    experiment_id = models.BigIntegerField(
        null=True, blank=True, help_text="In which the request was answered."
    )
    text = models.TextField(
        blank=True, db_default="", help_text="What was generated, as the surface stores texts."
    )
    tokens = models.PositiveIntegerField(default=0, db_default=0)
    cost = models.FloatField(default=0.0, db_default=0.0)
    answered_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "recommendation_id"], name="a_shadow_answers_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["unit_id"], condition=~models.Q(unit_id=""), name="shadow_answers_by_unit"
            ),
            models.Index(
                fields=["experiment_id"],
                condition=models.Q(experiment_id__isnull=False),
                name="shadow_answers_by_experiment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.recommendation_id}"


class DriftReport(models.Model):
    """How far a surface's last days are from the days before."""

    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="drift")
    measured_at = models.DateTimeField(db_default=Now())
    rows: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        help_text="Per quantity: name, PSI, KS, p-value, counts, and both histograms."
    )
    drifted = models.BooleanField(default=False)
    retrained = models.BooleanField(default=False, help_text="Whether it asked for a training run.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.surface} at {self.measured_at:%Y-%m-%d %H:%M}"
