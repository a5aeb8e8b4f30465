"""What was served, met, done and said. Written by the gateway's group commit and bulk loads alone.

Slates and events are partitioned by month (docs/decisions/0012): slates by their id, a UUIDv7 that
begins with the time; events by when they happened, so `EventId` keeps what makes them unique.

Each table has one more column, `xid`, that the migration adds and the database fills: the id of the
transaction that wrote the row, by which the roll-up knows what it has not seen.

Their foreign keys are not checked by the database (docs/decisions/0007): five look-ups and row locks
for every slate cost more than the insert, and the one writer takes its ids from the live configuration.
"""

from __future__ import annotations

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q
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
    trainable = models.BooleanField(default=True, help_text="False: no consent to learn from it.")
    variant_weight = models.FloatField(null=True)
    slots: models.JSONField[list[list[Any]]] = models.JSONField(
        help_text="Per slot: item id, score, rank before the draw, propensity, explored."
    )
    candidate_count = models.PositiveIntegerField(default=0)
    candidate_hash = models.CharField(max_length=16, blank=True)
    exploration = models.FloatField(default=0.0)
    latency_ms = models.FloatField(default=0.0)
    cost = models.FloatField(default=0.0, db_default=0.0, help_text="Of the answer, in money.")
    context: models.JSONField[dict[str, Any]] = models.JSONField(default=dict)
    pair: models.JSONField[dict[str, Any] | None] = models.JSONField(
        null=True, help_text="Of a comparison: who stood on side a and side b, and with which items."
    )
    generation: models.JSONField[dict[str, Any] | None] = models.JSONField(
        null=True, help_text="Of a generated text: outcome, provider, tokens, times, attempts; no text."
    )
    draft: models.JSONField[dict[str, Any] | None] = models.JSONField(
        null=True, help_text="Of an interleaved slate: team and ranks of each place, or who failed."
    )
    served_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["project", "unit_id", "served_at"]),
            # The latest answers of a surface, and the first since a time; ids begin with the time.
            models.Index(fields=["surface", "recommendation_id"], name="slates_by_surface"),
        ]

    def __str__(self) -> str:
        return str(self.recommendation_id)


class Exposure(models.Model):
    """The first time that a unit was exposed to a variant in an epoch."""

    class Source(models.TextChoices):
        """Who says so: our own answer, or a client that evaluated by itself, by the kind of its key."""

        SERVED = "served"
        PUBLIC = "public"
        SECRET = "secret"  # noqa: S105  a kind of key

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
    source = models.CharField(max_length=8, choices=Source.choices, db_default=Source.SERVED)
    last_epoch = models.PositiveIntegerField(
        db_default=0,
        help_text="The last epoch in which the unit met this variant; below `epoch`: that one.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_id", "variant"], name="an_exposure_is_recorded_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} met variant {self.variant_id}"


class QuarantinedExposure(models.Model):
    """An exposure claimed by a public key that the assignment rule contradicts; never counted."""

    class Reason(models.TextChoices):
        BEFORE_START = "before_start", "it happened before the experiment began"
        FORCED = "forced", "the unit's variant is forced, which does not count"
        OUTSIDE = "outside", "the rule leaves the unit out"
        EARLIER_RULE = "earlier_rule", "an earlier epoch gave this variant, not that of the time"
        OTHER_VARIANT = "other_variant", "the rule gives the unit another variant"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    epoch = models.PositiveIntegerField(help_text="The one of its time; 0: before the first.")
    unit_id = models.CharField(max_length=200)
    exposed_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    reason = models.CharField(max_length=16, choices=Reason.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "unit_id", "variant"], name="a_claim_is_quarantined_once"
            )
        ]
        indexes = [models.Index(fields=["project", "unit_id"], name="quarantined_by_unit")]

    def __str__(self) -> str:
        return f"{self.unit_id} claims variant {self.variant_id}: {self.reason}"


class Event(models.Model):
    """What a unit did."""

    class Source(models.TextChoices):
        LIVE = "live"
        LOADED = "loaded"
        RATED = "rated"  # a score of an answer, by people or a judge: no client sends it
        REWARD = "reward"  # of a decision, by /v1/reward alone

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
    claimed_at = models.DateTimeField(
        null=True, help_text="What the client's clock said, where it was corrected."
    )
    inferred = models.BooleanField(
        default=False, help_text="The recommendation was found, not named: the last with the item."
    )
    trainable = models.BooleanField(default=True, help_text="False: no consent to learn from it.")
    properties: models.JSONField[dict[str, Any]] = models.JSONField(default=dict)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.LIVE)
    trusted = models.BooleanField(
        db_default=False, help_text="It came by a secret key or a bulk load, not from a page."
    )

    class Meta:
        indexes = [models.Index(fields=["project", "unit_id", "occurred_at"])]

    def __str__(self) -> str:
        return f"{self.name} by {self.unit_id}"


class EventId(models.Model):
    """The id of an event that was kept: what makes it count once, whatever partition it is in."""

    pk = models.CompositePrimaryKey("project", "event_id")
    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    event_id = models.CharField(max_length=200)
    received_at = models.DateTimeField(help_text="It is forgotten with the event.")
    # True of ids that were kept before there was this column: their retries stay duplicates.
    trusted = models.BooleanField(db_default=True, help_text="A secret key's event has it.")

    class Meta:
        indexes = [BrinIndex(fields=["received_at"], name="event_ids_by_time")]

    def __str__(self) -> str:
        return self.event_id


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    """Sets of feedback."""

    def current(self) -> Self:
        """What units say now: the last word of each, unless they withdrew it."""
        key = ("project_id", "recommendation_id", "item_id", "unit_id", "kind")
        later = Feedback.objects.filter(**{name: OuterRef(name) for name in key}).filter(
            Q(received_at__gt=OuterRef("received_at"))
            | Q(received_at=OuterRef("received_at"), id__gt=OuterRef("id"))
        )
        return self.filter(~Exists(later), withdrawn=False)

    def counted(self) -> Self:
        """What counts in reports: neither hidden nor spam."""
        return self.current().exclude(state__in=(Feedback.State.HIDDEN, Feedback.State.SPAM))

    def written(self) -> Self:
        """What users wrote: comments, and answers to surveys in their own words."""
        return self.filter(Q(kind=Feedback.Kind.TEXT) & ~Q(text="") | ~Q(answer=""))

    def to_review(self) -> Self:
        """Texts, and corrections of undeclared labels, that fewer than two people have judged."""
        undeclared = Q(kind=Feedback.Kind.CORRECTION, flags__contains=["undeclared"])
        return (
            self.filter(Q(kind=Feedback.Kind.TEXT) | ~Q(answer="") | undeclared)
            .filter(state__in=(Feedback.State.PENDING, Feedback.State.OK), withdrawn=False)
            .annotate(judged=Count("reviews"))
            .filter(judged__lt=2)
        )


class Feedback(models.Model):
    """Feedback of a unit on a slate; variant, model and slot come from the slate.

    Append-only: a later row of the same unit, slate, item and kind supersedes, and may withdraw.
    """

    class Kind(models.TextChoices):
        THUMB = "thumb"
        RATING = "rating"
        REASONS = "reasons"
        TEXT = "text"
        HIDE = "hide"
        CORRECTION = "correction"
        PAIRWISE = "pairwise"
        EDIT = "edit"
        REGENERATE = "regenerate"
        COPY = "copy"
        ABANDON = "abandon"
        ACCEPT = "accept"
        SURVEY = "survey"

    class State(models.TextChoices):
        PENDING = "pending"
        OK = "ok"
        HIDDEN = "hidden"
        SPAM = "spam"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    feedback_id = models.CharField(max_length=200)
    recommendation_id = models.UUIDField()
    item_id = models.CharField(max_length=200, blank=True)
    unit_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.FloatField(
        null=True,
        help_text="Of a thumb, rating or survey's scale; hide: 1; "
        "pairwise: 1 for the treatment, else 0 or .5; correction: 1 if the first answer was right; "
        "edit: share of the answer that was changed.",
    )
    text = models.TextField(
        blank=True,
        help_text="Of a text or an edit, redacted; of a correction, the label; of a pair, the answer; "
        "of a survey, its key.",
    )
    answer = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Of a survey's question that users answer in their own words, redacted.",
    )
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    redacted = ArrayField(
        models.CharField(max_length=16), default=list, blank=True, help_text="What was found in it."
    )
    withdrawn = models.BooleanField(default=False)
    trainable = models.BooleanField(default=True, help_text="False: no consent to learn from it.")
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
    state = models.CharField(max_length=8, choices=State.choices, default=State.OK)
    state_reason = models.CharField(max_length=200, blank=True)
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True)
    flags = ArrayField(
        models.CharField(max_length=16), default=list, blank=True, help_text="duplicate, burst."
    )
    trusted = models.BooleanField(db_default=False, help_text="It came by a secret key.")

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "feedback_id"], name="feedback_counts_once")
        ]
        indexes = [
            models.Index(fields=["project", "recommendation_id", "received_at"]),
            models.Index(fields=["project", "unit_id"], name="feedback_by_unit"),
            # Answers are few among feedback: a page of surveys must not read all of it.
            models.Index(fields=["project", "text"], condition=Q(kind="survey"), name="survey_answers"),
            # Likewise what users write, which is looked for every few minutes.
            models.Index(
                fields=["project", "id"],
                condition=Q(kind="text") | ~Q(answer=""),
                name="written_by_users",
            ),
        ]
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"{self.kind} by {self.unit_id}"

    @property
    def free_text(self) -> str:
        """What the user wrote: a comment, or the answer to a survey's question; else empty."""
        return self.text if self.kind == self.Kind.TEXT else self.answer

    @property
    def shown_text(self) -> str:
        """What pages show of it: the answer in the user's own words, else the text."""
        return self.answer or self.text
