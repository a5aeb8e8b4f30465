"""A metric: a number per unit, defined over events."""

from __future__ import annotations

from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from bakeoff.accounts.readable_times import times_are_readable
from experiments.metrics.serving_names import SERVING_NAMES
from experiments.metrics.spec import MetricError, MetricSpec


class MetricQuerySet(models.QuerySet["Metric"]):
    """Sets of metrics."""

    def unarchived(self) -> Self:
        """Metrics that are listed and offered."""
        return self.filter(archived_at=None)


class Metric(models.Model):
    """A number per unit, declared over events; `MetricSpec` says what each kind means."""

    class Kind(models.TextChoices):
        PROPORTION = "proportion"
        MEAN = "mean"
        RATIO = "ratio"
        QUANTILE = "quantile"
        RETENTION = "retention"
        FUNNEL = "funnel"

    class Value(models.TextChoices):
        COUNT = "count", "number of events"
        SUM = "sum", "sum of their values"
        MAX = "max", "largest of their values"
        ITEMS = "items", "number of different items"

    class Covariate(models.TextChoices):
        HISTORY = "history", "the same number before exposure (CUPED)"
        PREDICTION = "prediction", "a prediction of the number from before exposure (CUPAC)"

    class Direction(models.TextChoices):
        INCREASE = "increase"
        DECREASE = "decrease"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="metrics")
    key = models.SlugField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    event = models.CharField(max_length=100, blank=True)
    value = models.CharField(max_length=8, choices=Value.choices, default=Value.COUNT)
    filters: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list,
        blank=True,
        help_text='Conditions: [{"field": "properties.page", "op": "eq", "value": "home"}].',
    )
    denominator = models.CharField(
        max_length=100,
        blank=True,
        help_text="Ratio only: events counted below the line; `slate` counts served answers.",
    )
    steps: models.JSONField[list[str]] = models.JSONField(
        default=list, blank=True, help_text="Funnel only: events in the order in which they must come."
    )
    quantile = models.FloatField(default=0.5, help_text="Quantile only: which one, in (0, 1).")
    window_seconds = models.FloatField(
        null=True, blank=True, help_text="How long a unit's events count; empty: as the policy says."
    )
    delay_seconds = models.FloatField(
        default=0.0, help_text="The window starts this long after exposure; retention on day k: k days."
    )
    cap = models.FloatField(null=True, blank=True, help_text="Larger values of a unit count as this.")
    cap_quantile = models.FloatField(
        null=True,
        blank=True,
        help_text="The cap as a quantile of units' values in the 28 days before the start.",
    )
    lookback_seconds = models.FloatField(
        null=True,
        blank=True,
        help_text="The same number over this long before exposure, to reduce variance (CUPED).",
    )
    covariate = models.CharField(
        max_length=16,
        choices=Covariate.choices,
        default=Covariate.HISTORY,
        db_default="history",
        help_text="With lookback_seconds: what reduces variance, the past number or a prediction.",
    )
    attributed_only = models.BooleanField(
        default=False, help_text="Count only events that name a recommendation of the experiment."
    )
    trusted_only = models.BooleanField(
        db_default=False,
        default=False,
        help_text="Count only events and feedback that a secret key sent: a page's key can be abused.",
    )
    direction = models.CharField(
        max_length=8,
        choices=Direction.choices,
        default=Direction.INCREASE,
        help_text="Which change is good.",
    )
    description = models.TextField(
        default="",
        db_default="",
        blank=True,
        help_text="What it says of users, and when to use it; nothing is counted by it.",
    )
    owner = models.CharField(
        max_length=150,
        default="",
        db_default="",
        blank=True,
        help_text="Who answers questions about it.",
    )
    tags: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text='By which people find it: ["engagement"].',
    )
    archived_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it is offered no more; empty: it is."
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = MetricQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="metric_key_is_unique"),
            models.CheckConstraint(
                condition=~Q(kind="ratio") | ~Q(denominator=""),
                name="a_ratio_has_a_denominator",
            ),
            models.CheckConstraint(
                condition=Q(kind="funnel") | ~Q(event=""), name="a_metric_counts_an_event"
            ),
            models.CheckConstraint(
                condition=Q(quantile__gt=0) & Q(quantile__lt=1), name="a_quantile_is_a_share"
            ),
            times_are_readable("metric_times_are_readable", "created_at"),
            times_are_readable("metric_archive_time_is_readable", "archived_at"),
        ]

    def __str__(self) -> str:
        # A serving metric has its name from us: pages say it in the reader's language.
        is_ours = self.name and self.name == SERVING_NAMES.get(self.key)
        return gettext(self.name) if is_ours else self.name or self.key

    @property
    def archived_sentence(self) -> str:
        """Why nothing new is measured by it; empty unless it is archived."""
        return f"metric '{self.key}' is archived: restore it first." if self.archived_at else ""

    def clean(self) -> None:
        """Check what the fields say together."""
        try:
            MetricSpec.of(self, default_window_seconds=86_400.0)
        except MetricError as error:
            raise ValidationError({error.field: str(error)}) from error
