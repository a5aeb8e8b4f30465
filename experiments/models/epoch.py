"""Epochs of an experiment: what changes while it runs begins a new one."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from bakeoff.accounts.readable_times import times_are_readable
from experiments.models.experiment import Experiment


class Epoch(models.Model):
    """A stretch in which allocation, weights and metric settings stay the same; append-only."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="epochs")
    number = models.PositiveIntegerField()
    allocation = models.FloatField()
    weights: models.JSONField[dict[str, float]] = models.JSONField()
    layout: models.JSONField[list[list[Any]]] = models.JSONField(
        default=list,
        help_text="Which variant holds which part of the buckets: key and width, in order.",
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="epochs_are_numbered"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(ended_at__isnull=True), name="one_open_epoch"
            ),
            times_are_readable("epoch_times_are_readable", "started_at", "ended_at"),
        ]

    def __str__(self) -> str:
        return f"epoch {self.number} of {self.experiment}"

    @property
    def parts(self) -> list[tuple[str, float]]:
        """The layout; of an epoch that keeps none, one part a variant."""
        return [(key, width) for key, width in self.layout] or list(self.weights.items())
