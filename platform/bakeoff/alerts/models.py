"""The outbox: alerts, who subscribes to them, and what was delivered.

An alert is written in the transaction of its fact. Its deliveries are made afterwards, one per
subscription, so that a fact neither waits for nor fails by a receiver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from bakeoff.accounts.models import Project
from bakeoff.accounts.readable_times import times_are_readable

if TYPE_CHECKING:
    from uuid import UUID


def new_alert_id() -> UUID:
    """Return an id that sorts by time; receivers know an alert by it, however often it comes."""
    return uuid7()


def _is_array(column: str) -> models.Func:
    return models.Func(
        F(column),
        template="(jsonb_typeof(%(expressions)s) = 'array')",
        output_field=models.BooleanField(),
    )


class Subscription(models.Model):
    """Where alerts of a project are sent, and which."""

    class Kind(models.TextChoices):
        """How a target is spoken to."""

        WEBHOOK = "webhook", "signed webhook"
        SLACK = "slack", "Slack"
        EMAIL = "email", "e-mail"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subscriptions")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    target = models.CharField(max_length=1000, help_text="An address: https://… or somebody@….")
    events: models.JSONField[list[str]] = models.JSONField(
        default=list, blank=True, help_text="Which alerts; empty: all."
    )
    secret = models.CharField(max_length=100, blank=True)
    # While a secret is rotated, both sign: a receiver may change its own at any time in between.
    previous_secret = models.CharField(max_length=100, blank=True)
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_subscription_per_name"),
            models.CheckConstraint(
                condition=~Q(kind="webhook") | ~Q(secret=""), name="a_webhook_has_a_secret"
            ),
            models.CheckConstraint(condition=_is_array("events"), name="subscribed_events_are_a_list"),
            times_are_readable(
                "subscription_times_are_readable", "created_at", "previous_secret_until"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def wants(self, event: str) -> bool:
        """Whether alerts of this event go to it."""
        return not self.events or event in self.events


class AlertQuerySet(models.QuerySet["Alert"]):
    """Sets of alerts."""

    def unresolved(self) -> Self:
        """Alerts whose cause is not known to have gone."""
        return self.filter(resolved_at__isnull=True)


class Alert(models.Model):
    """A fact that somebody should hear of; never changed."""

    class Event(models.TextChoices):
        """What an alert is about."""

        VERDICT = "verdict", "verdict"
        BREAKER_TRIP = "breaker_trip", "circuit breaker tripped"
        HALT = "halt", "experiment halted"
        RAMP_HELD = "ramp_held", "ramp step held"
        DECISION_NEEDED = "decision_needed", "decision needed"
        TRAINING_FAILED = "training_failed", "training failed"
        TRAINING_REFUSED = "training_refused", "training refused"
        DRIFT = "drift", "drift"
        HOLDBACK_LOST = "holdback_lost", "holdback lost"
        THEME_NEW = "theme_new", "new theme of feedback"
        THEME_GROWING = "theme_growing", "growing theme of feedback"
        BUFFER_FILLING = "buffer_filling", "buffer filling"
        WORKER_GONE = "worker_gone", "worker gone"
        QUOTA = "quota", "quota used"
        MENTION = "mention", "mention in a comment"
        DIGEST = "digest", "weekly digest"
        TEST = "test", "test"

    id = models.UUIDField(primary_key=True, default=new_alert_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alerts")
    event = models.CharField(max_length=32, choices=Event.choices)
    subject = models.CharField(max_length=200, help_text="What it is about: an experiment, a run.")
    summary = models.TextField(help_text="What happened, in a sentence.")
    detail: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    path = models.CharField(max_length=500, blank=True, help_text="The page about it: /dashboard/….")
    dedupe_key = models.CharField(
        max_length=200, blank=True, help_text="While an alert with it is unresolved, no other is made."
    )
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True, blank=True)
    fanned_out_at = models.DateTimeField(
        null=True, blank=True, help_text="When its deliveries were made."
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "dedupe_key"],
                condition=~Q(dedupe_key="") & Q(resolved_at__isnull=True),
                name="one_unresolved_alert_per_key",
            ),
            times_are_readable(
                "alert_times_are_readable", "created_at", "resolved_at", "fanned_out_at"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at"], name="alerts_by_project"),
            models.Index(
                fields=["created_at"],
                condition=Q(fanned_out_at__isnull=True),
                name="alerts_to_fan_out",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event}: {self.subject}"


class Delivery(models.Model):
    """One alert to one subscription: made once, tried until it is delivered or dead."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        DELIVERED = "delivered", "delivered"
        DEAD = "dead", "dead letter"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    # The day of retries begins here; sending it again by hand begins another.
    first_tried_at = models.DateTimeField(null=True, blank=True)
    # Of the last attempt: one that is in the future tells that the clock was set back since.
    tried_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(db_default=Now())
    # A worker that sends it holds it until then; one that was killed lets go of it by the clock.
    leased_until = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "subscription"], name="one_delivery_per_subscription"
            ),
            models.CheckConstraint(
                condition=Q(state="delivered", delivered_at__isnull=False)
                | (~Q(state="delivered") & Q(delivered_at__isnull=True)),
                name="what_is_delivered_has_its_time",
            ),
            times_are_readable(
                "delivery_times_are_readable",
                "created_at",
                "first_tried_at",
                "tried_at",
                "next_at",
                "leased_until",
                "delivered_at",
            ),
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="deliveries_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.alert} to {self.subscription}"
