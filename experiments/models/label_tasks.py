"""Texts that two people label: unsure answers, examples that seem mislabelled, chosen feedback."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

# What a task's `source_id` begins with; the id of what is labelled follows.
OF_ANSWER, OF_EXAMPLE, OF_FEEDBACK = "answer:", "example:", "feedback:"


class LabelTask(models.Model):
    """A text to be labelled by two people, neither of whom sees what a model or the other said."""

    class State(models.TextChoices):
        OPEN = "open"
        AGREED = "agreed"
        DISPUTED = "disputed"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.CASCADE, related_name="label_tasks"
    )
    source_id = models.CharField(
        max_length=220,
        help_text="`answer:` and the recommendation's id, `example:` and the example's, or "
        "`feedback:` and the feedback's.",
    )
    unit_id = models.CharField(max_length=200, blank=True, help_text="Who was answered, or wrote.")
    text = models.TextField(blank=True)
    features: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    uncertainty = models.FloatField(default=0.0, help_text="In [0, 1]; the highest is labelled first.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    label = models.CharField(max_length=200, blank=True, help_text="What both agreed on.")
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["surface", "source_id"], name="a_text_is_queued_once"),
            models.CheckConstraint(
                condition=~Q(state="agreed") | ~Q(label=""), name="an_agreed_task_has_its_label"
            ),
        ]
        indexes = [
            models.Index(
                F("project"),
                F("uncertainty").desc(),
                condition=Q(state="open"),
                name="open_label_tasks",
            ),
            models.Index(fields=["project", "unit_id"], name="label_tasks_by_unit"),
        ]

    def __str__(self) -> str:
        return self.source_id


class LabelOpinion(models.Model):
    """One person's label of a text."""

    task = models.ForeignKey(LabelTask, on_delete=models.CASCADE, related_name="opinions")
    reviewer = models.CharField(max_length=150)
    label = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "reviewer"], name="a_person_labels_a_text_once")
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.label}"
