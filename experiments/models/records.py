"""What was served, met, done and said. Written by the gateway's group commit and bulk loads alone.

Each table has one more column, `xid`, that the migration adds and the database fills: the id of the
transaction that wrote the row, by which the roll-up knows what it has not seen.

Their foreign keys are not checked by the database (docs/decisions/0007): five look-ups and row locks
for every slate cost more than the insert, and the one writer takes its ids from the live configuration.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now


class Slate(models.Model):
    """One served answer."""

    recommendation_id = models.UUIDField(primary_key=True)
    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    unit_id = models.CharField(max_length=200)
    experiment = models.ForeignKey(
        "experiments.Experiment",
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,
        db_constraint=False,
    )
    variant = models.ForeignKey(
        "experiments.Variant", null=True, on_delete=models.SET_NULL, db_index=False, db_constraint=False
    )
    model_version = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,
        db_constraint=False,
    )
    reason = models.CharField(max_length=32)
    fallback = models.CharField(max_length=32, null=True)  # noqa: DJ001  null is "none", as in JSON
    forced = models.BooleanField(default=False)
    variant_weight = models.FloatField(null=True)
    slots: models.JSONField[list[list[Any]]] = models.JSONField(
        help_text="Per slot: item id, score, rank before the draw, propensity, explored."
    )
    candidate_count = models.PositiveIntegerField(default=0)
    candidate_hash = models.CharField(max_length=16, blank=True)
    exploration = models.FloatField(default=0.0)
    latency_ms = models.FloatField(default=0.0)
    context: models.JSONField[dict[str, Any]] = models.JSONField(default=dict)
    served_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "unit_id", "served_at"])]

    def __str__(self) -> str:
        return str(self.recommendation_id)


class Exposure(models.Model):
    """The first time that a unit met a variant in an epoch."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    epoch = models.PositiveIntegerField()
    unit_id = models.CharField(max_length=200)
    unit_type = models.CharField(max_length=32, default="unit")
    exposed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_id", "variant"], name="an_exposure_is_recorded_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} met variant {self.variant_id}"


class Event(models.Model):
    """What a unit did."""

    class Source(models.TextChoices):
        LIVE = "live"
        LOADED = "loaded"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    event_id = models.CharField(max_length=200)
    name = models.CharField(max_length=100)
    unit_id = models.CharField(max_length=200)
    item_id = models.CharField(max_length=200, null=True)  # noqa: DJ001  null is "no item"
    item_known = models.BooleanField(default=True)
    recommendation_id = models.UUIDField(null=True)
    value = models.FloatField(null=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    properties: models.JSONField[dict[str, Any]] = models.JSONField(default=dict)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.LIVE)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "event_id"], name="an_event_counts_once")
        ]
        indexes = [models.Index(fields=["project", "unit_id", "occurred_at"])]

    def __str__(self) -> str:
        return f"{self.name} by {self.unit_id}"


class Feedback(models.Model):
    """What a unit said about a slate; variant, model and slot come from the slate."""

    class Kind(models.TextChoices):
        THUMB = "thumb"
        RATING = "rating"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    feedback_id = models.CharField(max_length=200)
    recommendation_id = models.UUIDField()
    item_id = models.CharField(max_length=200, blank=True)
    unit_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.FloatField()
    variant = models.ForeignKey(
        "experiments.Variant", null=True, on_delete=models.SET_NULL, db_index=False, db_constraint=False
    )
    model_version = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,
        db_constraint=False,
    )
    position = models.PositiveIntegerField(null=True)
    propensity = models.FloatField(null=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "feedback_id"], name="feedback_counts_once")
        ]
        indexes = [models.Index(fields=["project", "recommendation_id", "received_at"])]
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g} by {self.unit_id}"
