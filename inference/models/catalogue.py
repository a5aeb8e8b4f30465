"""What can be recommended, and where."""

from __future__ import annotations

import hashlib
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable
from inference.models.images import UploadedImage


class CatalogueState(models.Model):
    """How often a project's catalogue was changed: web processes read what came since they last looked.

    A writer counts up in its own transaction and holds the row until its commit, so changes become
    visible in the order of their numbers: who has read up to a number has missed nothing below it.
    """

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.CASCADE, primary_key=True, related_name="catalogue"
    )
    number = models.PositiveBigIntegerField(default=0)
    words_number = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="Up to which change the words of all items were collected."
    )
    words_collected_at = models.DateTimeField(null=True, editable=False)
    property_names = ArrayField(
        models.TextField(),
        null=True,
        editable=False,
        help_text="Properties that its items have, or have had: filters outlive the items they name.",
    )

    def __str__(self) -> str:
        return f"change {self.number}"


class ItemsThatExist(models.Manager["Item"]):
    """Items that were not deleted."""

    def get_queryset(self) -> models.QuerySet[Item]:
        """Leave out what was deleted."""
        return super().get_queryset().filter(deleted_at__isnull=True)


class Item(models.Model):
    """One thing of a project's catalogue that a slate can hold.

    A deleted item keeps its row, without its content: versions that learnt it must not show it, so
    serving has to know that it was deleted.
    """

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="items")
    item_id = models.CharField(max_length=200)
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    properties: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    vector = models.BinaryField(
        null=True, help_text="A vector that the user supplied, of an image say: little-endian float32."
    )
    available = models.BooleanField(
        default=True, db_default=True, help_text="Whether it may be shown: in stock, say."
    )
    published_at = models.DateTimeField(null=True, blank=True, help_text="Not shown before.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Not shown from then on.")
    group_id = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="Names the product of which this is a variant.",
    )
    labels: models.JSONField[list[str]] = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), blank=True
    )
    url = models.CharField(max_length=2000, blank=True, db_default="")
    image_url = models.CharField(max_length=2000, blank=True, db_default="")
    image_sha256 = models.CharField(
        max_length=64,
        blank=True,
        db_default="",
        editable=False,
        help_text="Of its uploaded image, which counts in place of the one at its address.",
    )
    price = models.FloatField(null=True, blank=True)
    change = models.PositiveBigIntegerField(
        db_default=0, default=0, editable=False, help_text="Number of the change that wrote it last."
    )
    neighbours: models.JSONField[list[list[Any]]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        editable=False,
        help_text="Ids and weights of the nearest items: the place of one that came after a version.",
    )
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    vector_due_at = models.DateTimeField(
        null=True,
        db_default=Now(),
        editable=False,
        help_text="From when on a worker should embed its text; null when that is done.",
    )

    objects = ItemsThatExist()  # first: Django follows relations with it
    deleted_or_not: models.Manager[Item] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "item_id"], name="item_id_is_unique"),
            times_are_readable("item_times_are_readable", "published_at", "expires_at"),
        ]
        indexes = [
            models.Index(fields=["project", "change"], name="items_by_change"),
            # Nearly always empty: the reconciler asks it every few seconds.
            models.Index(
                fields=["vector_due_at"],
                condition=Q(vector_due_at__isnull=False),
                name="items_without_their_vector",
            ),
            # By hash: an address may be longer than what a tree's entry can hold.
            HashIndex(fields=["image_url"], condition=~Q(image_url=""), name="items_by_image"),
            models.Index(
                fields=["image_sha256"], condition=~Q(image_sha256=""), name="items_by_uploaded_image"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.item_id

    @property
    def image_address(self) -> str:
        """Where its image is read: in the table of uploads, or at its address; empty for none."""
        return UploadedImage.address_of(self.image_sha256) if self.image_sha256 else self.image_url

    @property
    def text_to_embed(self) -> str:
        """What the text tower reads: title, text, labels, properties; the id when all are missing."""
        fields = [f"{name}: {_as_words(value)}" for name, value in sorted(self.properties.items())]
        parts = [part for part in (self.title, self.text, _as_words(self.labels), *fields) if part]
        return ". ".join(parts)[:MAX_TEXT] or self.item_id

    @property
    def says_something(self) -> bool:
        """Whether it has more than its id: what the text tower reads of it is else a name."""
        return bool(self.title or self.text or self.labels or self.properties)


MAX_TEXT = 4000  # characters; an encoder reads the first few hundred


def _as_words(value: Any) -> str:
    """Return a property as words: lists are enumerated, numbers are short."""
    if isinstance(value, list):
        return ", ".join(_as_words(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


class ItemVector(models.Model):
    """A text's vector under one encoder; shared by all projects, because it depends on both alone.

    `vector` holds little-endian float32.
    """

    encoder_sha256 = models.CharField(max_length=64)
    text_sha256 = models.CharField(max_length=64)
    vector = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["encoder_sha256", "text_sha256"], name="a_text_is_embedded_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.text_sha256[:12]} by {self.encoder_sha256[:12]}"

    @staticmethod
    def key_of(text: str) -> str:
        """Return the name of a text."""
        return hashlib.sha256(text.encode()).hexdigest()


def default_credited_events() -> list[str]:
    """Return the events that are credited when a surface does not say."""
    return ["conversion"]


class SurfaceQuerySet(models.QuerySet["Surface"]):
    """Sets of surfaces."""

    def unarchived(self) -> Self:
        """Surfaces that are listed, served and trained."""
        return self.filter(archived_at=None)


class Surface(models.Model):
    """A place in a product that asks for an answer."""

    class Kind(models.TextChoices):
        RECOMMEND = "recommend"
        CLASSIFY = "classify"
        FLAG = "flag"
        GENERATE = "generate"
        RANK = "rank"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="surfaces")
    key = models.SlugField(max_length=64)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.RECOMMEND)
    static_list: models.JSONField[list[str]] = models.JSONField(
        default=list, blank=True, help_text="Item ids that are served when no model can answer."
    )
    candidates = models.PositiveIntegerField(
        default=200, help_text="How many precomputed candidates are re-ranked in a request."
    )
    exploration = models.FloatField(
        default=0.0,
        help_text="Temperature of the Plackett-Luce draw over ranks; 0 serves the ranking itself.",
    )
    liked_events: models.JSONField[list[str]] = models.JSONField(
        default=list, blank=True, help_text="Event names that say a unit liked an item."
    )
    credited_events: models.JSONField[list[str]] = models.JSONField(
        default=default_credited_events,
        blank=True,
        help_text="Events that, when they name no recommendation, are credited to the unit's last "
        "slate that held the item.",
    )
    attribution_seconds = models.PositiveIntegerField(
        default=7 * 24 * 3600, help_text="How long after a slate an event is credited to it."
    )
    labels: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        help_text="Labels of a surface that labels text. When there are any, others are not learnt; "
        "when there are none, those of loaded examples are.",
    )
    retrain_algorithm = models.CharField(
        max_length=32, blank=True, help_text="What the schedule trains; empty for nothing."
    )
    retrain_every_seconds = models.PositiveIntegerField(default=24 * 3600)
    retrain_params: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    rules: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Rules of every slate: filter, boost, bury, pin, caps, diversity, freshness.",
    )
    generate: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Of a surface that generates: public, store, cache, budgets, prices, guardrails.",
    )
    rank: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Of a surface that chooses among actions: control_share, explore, wait_seconds, "
        "min_reward, max_reward, default_reward, sample, apprentice.",
    )
    event_weights: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="What a like counts by its event, in training and at the gate: event to number, or "
        "to {'per_value': number} for that times the event's value. 1 for each that is not named.",
    )
    context_features: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        help_text="Features of a request's context that models may read: country, device, hour, …",
    )
    costs: models.JSONField[dict[str, dict[str, float]]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="What mistakes of a surface that labels text cost: true label to answered label to "
        "cost. A mistake that is not named costs 1.",
    )
    abstain_cost = models.FloatField(
        null=True,
        blank=True,
        help_text="What asking a person costs. Where the best label's expected cost is higher, no "
        "label is decided on.",
    )
    slices: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        help_text="Features by whose values groups are compared, on a surface that labels text.",
    )
    max_gap = models.FloatField(
        null=True,
        blank=True,
        help_text="Between two groups' accuracy, or rate of false positives or negatives: a version "
        "with a wider gap is refused.",
    )
    text_classifier = models.SlugField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        db_index=False,
        help_text="Key of a surface of kind classify whose champion labels what users write about this "
        "surface, as its sentiment.",
    )
    theme_namer = models.SlugField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        db_index=False,
        help_text="Key of a surface of kind generate whose champion names themes of what users write "
        "about this surface.",
    )
    start_experiments = models.BooleanField(
        default=True, help_text="Whether a version that passed the gate starts its experiment."
    )
    policy: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="Decision policy of experiments that the loop starts."
    )
    shadow_share = models.FloatField(
        default=0.1, help_text="Share of requests that versions in shadow answer too, unseen."
    )
    shadow_first = models.PositiveIntegerField(
        default=0, help_text="How many requests a challenger answers unseen before its experiment."
    )
    retrain_on_drift = models.BooleanField(
        default=False, help_text="Whether drift asks for a training run before it is due."
    )
    seed = models.CharField(
        max_length=64,
        blank=True,
        help_text="Makes the salts of the loop's experiments repeatable, for demonstrations.",
    )
    last_retrained_at = models.DateTimeField(null=True, blank=True)
    retraining_until = models.DateTimeField(
        null=True,
        editable=False,
        help_text="A process freezes the training data; if it dies, another may from then on.",
    )
    archived_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when it is served and listed no more; empty: it is."
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = SurfaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="surface_key_is_unique"),
            models.CheckConstraint(condition=Q(exploration__gte=0), name="exploration_is_not_negative"),
            models.CheckConstraint(condition=Q(candidates__gte=1), name="candidates_is_positive"),
            models.CheckConstraint(
                condition=Q(shadow_share__gte=0) & Q(shadow_share__lte=1),
                name="shadow_share_is_a_share",
            ),
            times_are_readable(
                "surface_times_are_readable", "last_retrained_at", "retraining_until", "created_at"
            ),
            times_are_readable("surface_archive_time_is_readable", "archived_at"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def archived_sentence(self) -> str:
        """Why nothing happens on it; empty unless it is archived."""
        return f"surface '{self.key}' is archived: restore it first." if self.archived_at else ""
