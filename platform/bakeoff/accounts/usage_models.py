"""What projects use, by month, and how much they may."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class UsageCounts(models.Model):
    """The columns of usage."""

    month = models.DateField(help_text="Its first day, in UTC.")
    answers = models.BigIntegerField(default=0)
    events = models.BigIntegerField(default=0)
    feedback = models.BigIntegerField(default=0)
    generations = models.BigIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class UsageEntry(UsageCounts):
    """What one commit wrote of one project, until it is added to the month's row.

    Written by the statement of the rows themselves (experiments/ingest/statement.py), which waits for
    nobody's lock: no unique key, and a foreign key that the database does not check.
    """

    project = models.ForeignKey(
        "accounts.Project",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )

    class Meta:
        verbose_name_plural = "usage entries"

    def __str__(self) -> str:
        return f"project {self.project_id}, {self.month:%Y-%m}"


class MonthlyUsage(UsageCounts):
    """What a project used in a month, but for the entries that wait."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="monthly_usage"
    )

    class Meta:
        ordering = ["-month"]
        constraints = [
            models.UniqueConstraint(fields=["project", "month"], name="one_usage_per_month"),
            models.CheckConstraint(condition=Q(month__day=1), name="usage_is_of_a_whole_month"),
        ]
        verbose_name_plural = "monthly usage"

    def __str__(self) -> str:
        return f"project {self.project_id}, {self.month:%Y-%m}"


class Quota(models.Model):
    """How much a project may use in a calendar month; the operator's to set. Empty: no limit."""

    project = models.OneToOneField("accounts.Project", on_delete=models.CASCADE, related_name="quota")
    answers = models.BigIntegerField(null=True, blank=True)
    events = models.BigIntegerField(null=True, blank=True, help_text="Events and feedback together.")
    tokens = models.BigIntegerField(
        null=True, blank=True, help_text="Of generations, in and out together."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(Q(answers=None) | Q(answers__gte=0))
                & (Q(events=None) | Q(events__gte=0))
                & (Q(tokens=None) | Q(tokens__gte=0)),
                name="quotas_are_not_negative",
            )
        ]

    def __str__(self) -> str:
        return f"quota of project {self.project_id}"
