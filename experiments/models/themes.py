"""Themes of feedback: what users of a surface write about, and which texts say it.

A theme names nobody: its words are each used by several users, and its quotes are read from the
feedback when they are shown, so that they go when the feedback goes. So does a name that a model made
of quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from experiments.models.records import Feedback
from inference.plurals import counted

if TYPE_CHECKING:
    from inference.models import Surface

TITLE_WORDS = 3
MAX_NAME = 60  # characters of a name that a model writes


class ThemeReading(models.Model):
    """The last time that a surface's texts were sorted into themes."""

    surface = models.OneToOneField(
        "inference.Surface", on_delete=models.CASCADE, related_name="theme_reading"
    )
    texts = models.PositiveIntegerField(default=0, help_text="That were read: the newest.")
    themed = models.PositiveIntegerField(default=0, help_text="Of them in a theme.")
    last_feedback = models.BigIntegerField(default=0, help_text="The newest row that was read.")
    weeks: models.JSONField[dict[str, int]] = models.JSONField(
        default=dict, help_text="Users who wrote, by the Monday of the week."
    )
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(themed__lte=models.F("texts")), name="themed_texts_were_read"
            )
        ]

    def __str__(self) -> str:
        return f"{counted(self.texts, 'text')} of surface {self.surface_id}"


class ThemeQuerySet(models.QuerySet["Theme"]):
    """Sets of themes."""

    def current(self) -> Self:
        """Themes of the last reading, the most frequent first."""
        rows = self.select_related("named_by__surface")
        return rows.filter(gone_at__isnull=True).order_by("-units", "id")


class Theme(models.Model):
    """What several users of a surface write about; it stays the same one while its centre does."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="themes")
    name = models.CharField(
        max_length=MAX_NAME,
        default="",
        db_default="",
        blank=True,
        help_text="Written by a model; empty: it is known by its words.",
    )
    named_by = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    named_from = ArrayField(
        models.BigIntegerField(),
        default=list,
        null=True,
        help_text="Keys of the feedback that the model read for the name.",
    )
    words = ArrayField(models.CharField(max_length=100), help_text="The most typical first.")
    space = models.CharField(max_length=64, help_text="What made the vectors: an encoder's hash.")
    centre = models.BinaryField(help_text="Mean of its texts' vectors, float32.")
    texts = models.PositiveIntegerField()
    units = models.PositiveIntegerField(help_text="Users who wrote them.")
    weeks: models.JSONField[dict[str, int]] = models.JSONField(
        default=dict, help_text="Users who wrote about it, by the Monday of the week."
    )
    growth: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, help_text="The last days against the weeks before: both shares, p-value, grows."
    )
    first_text_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    gone_at = models.DateTimeField(null=True, blank=True, help_text="When a reading had it no more.")

    objects = ThemeQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["surface", "gone_at"], name="themes_of_surface")]
        constraints = [
            models.CheckConstraint(
                condition=Q(units__gte=1, texts__gte=models.F("units")), name="a_theme_has_texts"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """The name by which people know it, or else its words."""
        return self.name or self.title_of_words

    @property
    def title_of_words(self) -> str:
        """The words by which people know a theme without a name."""
        return ", ".join(self.words[:TITLE_WORDS])

    @property
    def named_by_label(self) -> str:
        """Surface and version that wrote the name; empty where it is known by its words."""
        version = self.named_by if self.name else None
        return f"{version.surface.key} {version.label}" if version is not None else ""


class ThemedText(models.Model):
    """The vector of a text of feedback, and the theme that it belongs to; it holds no text."""

    # An erasure deletes it by its unit, after the feedback: a cascade would go first, against the order
    # in which a reading locks both. What retention leaves here, the next reading deletes, within a day.
    feedback = models.OneToOneField(
        "experiments.Feedback", on_delete=models.DO_NOTHING, related_name="themed", db_constraint=False
    )
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.CASCADE, related_name="themed_texts"
    )
    unit_id = models.CharField(max_length=200)
    space = models.CharField(max_length=64)
    vector = models.BinaryField(help_text="float32, of length 1.")
    theme = models.ForeignKey(
        Theme, null=True, blank=True, on_delete=models.SET_NULL, related_name="members"
    )
    closeness = models.FloatField(default=0.0, help_text="Cosine with the theme's centre.")
    label = models.CharField(
        max_length=200,
        default="",
        db_default="",
        blank=True,
        help_text="By the surface's text classifier, as its sentiment.",
    )
    labelled_by = models.ForeignKey(
        "inference.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )

    class Meta:
        indexes = [models.Index(fields=["project", "unit_id"], name="themed_texts_by_unit")]

    def __str__(self) -> str:
        return f"text {self.feedback_id}"


def current_themes(surface: Surface) -> list[Theme]:
    """Return a surface's themes, the most frequent first.

    One of whose name a source was erased, taken back or hidden has none from that moment.
    """
    themes = list(Theme.objects.filter(surface=surface).current())
    sources = {one for theme in themes if theme.name for one in theme.named_from or ()}
    counted = Feedback.objects.counted().filter(pk__in=sources).values_list("pk", flat=True)
    kept = set(counted) if sources else set()
    for theme in themes:
        if not theme.named_from or not kept.issuperset(theme.named_from):
            theme.name = ""
    return themes
