"""Surveys: a question that users of a surface are asked after a slate. Answers are feedback."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from experiments.survey_question import MAX_CHOICE, MAX_QUESTION, TEXT, SurveyQuestion


def kind_name(kind: str) -> str:
    """Return the code by which pages name a kind of question."""
    return f"survey {kind}" if kind == TEXT else kind


class Survey(models.Model):
    """A question; it never changes, so that its answers stay answers to it."""

    class Kind(models.TextChoices):
        NPS = "nps"
        CSAT = "csat"
        RATING = "rating"
        CHOICE = "choice"
        CHOICES = "choices"
        TEXT = "text"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="surveys")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="surveys")
    key = models.SlugField(max_length=64, db_index=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    question = models.CharField(max_length=MAX_QUESTION)
    choices = ArrayField(models.CharField(max_length=MAX_CHOICE), default=list, blank=True)
    share = models.FloatField(default=1.0, help_text="Of the users, in (0, 1].")
    period_days = models.PositiveIntegerField(default=30, help_text="A user is asked once in it.")
    asks_comment = models.BooleanField(default=False)
    condition: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Of attributes of the request; who fails it is not asked.",
    )
    variants: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        help_text="EXPERIMENT/VARIANT, of which users must have one; empty: all users.",
    )
    translations: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Question and choices by language.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="a_survey_has_its_own_key"),
            # An answer replaces an earlier one on the same slate: two questions there would collide.
            models.UniqueConstraint(
                fields=["surface"], condition=Q(enabled=True), name="a_surface_asks_one_survey"
            ),
            models.CheckConstraint(
                condition=Q(share__gt=0, share__lte=1), name="a_survey_asks_somebody"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def kind_name(self) -> str:
        """The code by which pages name the kind: "text" is a kind of feedback, too."""
        return kind_name(self.kind)

    @property
    def condition_text(self) -> str:
        """The condition as a person writes it."""
        return json.dumps(self.condition, ensure_ascii=False)

    @property
    def parsed(self) -> SurveyQuestion:
        """The question with its rules."""
        return SurveyQuestion.parse(
            {
                name: getattr(self, name)
                for name in SurveyQuestion.__dataclass_fields__
                if name[0] != "_"
            }
        )
