"""Labelled texts that a product brought with it; what visitors say is feedback, not this."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now


class Example(models.Model):
    """A text, what else is known of it, and its true label on a surface."""

    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="examples")
    example_id = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    features: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    label = models.CharField(max_length=200)
    labelled_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["surface", "example_id"], name="example_id_is_unique"),
            models.CheckConstraint(condition=~models.Q(label=""), name="an_example_has_a_label"),
        ]

    def __str__(self) -> str:
        return f"{self.example_id}: {self.label}"
