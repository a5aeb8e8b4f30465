"""Versions of models: immutable artifacts, and aliases that move over them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable
from inference.models.run_stage import RunStage

if TYPE_CHECKING:
    from datetime import datetime


class Snapshot(models.Model):
    """The frozen training data of one run, named by the hash of its content."""

    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="snapshots")
    sha256 = models.CharField(max_length=64)
    rows = models.PositiveBigIntegerField()
    units = models.PositiveBigIntegerField()
    watermark = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["surface", "sha256"], name="a_snapshot_is_kept_once")
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    """Sets of versions."""

    def champions(self) -> Self:
        """Versions that serve their surface when no experiment runs."""
        return self.filter(alias=ModelVersion.Alias.CHAMPION)


class ModelVersion(models.Model):
    """An immutable artifact; only its alias moves."""

    class Alias(models.TextChoices):
        CANDIDATE = "candidate"
        SHADOW = "shadow"
        CHALLENGER = "challenger"
        CHAMPION = "champion"
        RETIRED = "retired"
        REJECTED = "rejected"

    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="versions")
    algorithm = models.SlugField(max_length=64)
    number = models.PositiveIntegerField()
    alias = models.CharField(max_length=16, choices=Alias.choices, default=Alias.CANDIDATE)
    artifact_sha256 = models.CharField(max_length=64)
    encoder_sha256 = models.CharField(max_length=64, blank=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT)
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.PROTECT)
    params: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    metrics: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    gate: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    code_version = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["surface", "algorithm", "number"], name="a_version_number_is_used_once"
            ),
            models.UniqueConstraint(
                fields=["surface"],
                condition=Q(alias="champion"),
                name="at_most_one_champion_per_surface",
            ),
            times_are_readable("version_times_are_readable", "created_at"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The version's name in answers and reports, such as `two-tower@7`."""
        return f"{self.algorithm}@{self.number}"

    @property
    def recipe(self) -> str:
        """The name of what was trained: a compressed version is made from its parent's."""
        return self.parent.recipe if self.parent is not None else self.algorithm

    @property
    def lineage(self) -> tuple[str, ...]:
        """Its algorithm, and those of what it was compressed from."""
        return (self.algorithm, *(self.parent.lineage if self.parent is not None else ()))

    @property
    def learnt_until(self) -> datetime | None:
        """When its training data end; None of what was registered from outside."""
        if self.snapshot is None:
            return None
        return self.snapshot.watermark or self.snapshot.created_at

    def is_clean_of(self, other: ModelVersion) -> bool:
        """Whether it was trained after an erasure destroyed another's data, on what was left."""
        ours, theirs = self.snapshot, other.snapshot
        if ours is None or ours.destroyed_at is not None or theirs is None:
            return False
        return theirs.destroyed_at is not None and self.created_at > theirs.destroyed_at

    @property
    def passed_gate(self) -> bool:
        """Whether the offline gate let it through."""
        return bool(self.gate.get("passed"))

    @property
    def gate_refusal(self) -> str:
        """Why the gate did not let it through, in words; empty when it did."""
        if self.passed_gate:
            return ""
        if not self.gate:
            return "was judged by no gate"
        return "was refused by its gate: " + (
            "; ".join(self.gate.get("reasons", ())) or "no reason kept"
        )

    @property
    def why_not_judged(self) -> str:
        """Why its gate could not tell what a policy would earn; empty where it could."""
        value = self.gate.get("about", {}).get("off_policy") or {}
        # Lists and labels have other judges: logged answers are only a view beside them.
        return value.get("refused", "") if self.surface.kind == self.surface.Kind.RANK else ""

    @property
    def promoted_against(self) -> str:
        """The gate's refusal, of a version that was promoted in spite of it; else empty."""
        promoted = self.moves.filter(after=ModelVersion.Alias.CHAMPION)
        move = promoted.filter(evidence__has_key="gate_refusal").last()
        return str(move.evidence["gate_refusal"]) if move is not None else ""


class AliasMove(models.Model):
    """One move of a version's alias, and what it was moved by."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="moves")
    before = models.CharField(max_length=16, choices=ModelVersion.Alias.choices, blank=True)
    after = models.CharField(max_length=16, choices=ModelVersion.Alias.choices)
    reason = models.TextField(help_text="The evidence in words: a gate, a verdict, a person's reason.")
    evidence: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="Where it is written down: a run, an experiment."
    )
    moved_by = models.CharField(max_length=150)
    moved_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.version}: {self.before or 'new'} to {self.after}"


STALE_AFTER = timedelta(seconds=60)  # thirty beats of a process that shares its cores


class TrainingRunQuerySet(models.QuerySet["TrainingRun"]):
    """Sets of runs."""

    def abandoned(self) -> Self:
        """Runs whose process gives no sign of life any more."""
        # By the database's clock, which wrote the heartbeats: those of machines may differ.
        return self.filter(state=TrainingRun.State.RUNNING, heartbeat_at__lt=Now() - STALE_AFTER)

    def free_to_take(self) -> Self:
        """Runs that nobody works on: a message that comes twice starts nothing twice."""
        queued = self.filter(state=TrainingRun.State.QUEUED)
        return queued | self.abandoned()

    def ended_well(self) -> Self:
        """Runs that came to an answer: their version passed the gate, or the gate refused it."""
        return self.filter(state__in=(TrainingRun.State.PASSED, TrainingRun.State.REFUSED))


class TrainingRun(models.Model):
    """One attempt to make a version."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PASSED = "passed"
        REFUSED = "refused"
        SKIPPED = "skipped"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE = (State.QUEUED, State.RUNNING)

    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.CASCADE, related_name="training_runs"
    )
    algorithm = models.CharField(max_length=64)
    trigger = models.CharField(max_length=32)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    params: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    compresses = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="compressions"
    )
    tested_version = models.ForeignKey(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="What a refit of the champion is compared with: the last that won a test.",
    )
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.PROTECT)
    answers = models.ForeignKey(
        Snapshot,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="judged_runs",
        help_text="What was served with exploration: for the value off-policy.",
    )
    texts = models.ForeignKey(
        Snapshot,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="adapted_runs",
        help_text="What people wrote: an encoder is adapted to it, beside the catalogue's texts.",
    )
    version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.SET_NULL)
    progress = models.FloatField(default=0.0)
    message = models.TextField(blank=True)
    stage: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Where a running run is: phase, step of steps, loss, seconds left.",
    )
    notes: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        help_text="What was set aside, and what a person should know.",
    )
    curve: models.JSONField[list[list[Any]]] = models.JSONField(
        default=list, blank=True, help_text="Losses on the way: fit, step, loss."
    )
    attempts = models.PositiveIntegerField(default=0, help_text="How often a process took it up.")
    lease = models.PositiveIntegerField(
        default=0, help_text="Fencing token: a run that lost its lease cannot publish."
    )
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TrainingRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["surface", "algorithm"],
                condition=Q(state__in=("queued", "running")),
                name="one_active_run_per_surface_and_algorithm",
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="progress_is_a_share"
            ),
            times_are_readable(
                "run_times_are_readable", "heartbeat_at", "queued_at", "started_at", "ended_at"
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.algorithm} for {self.surface}"

    @property
    def lasted_seconds(self) -> float | None:
        """How long it took, from its last attempt's start to its end; None unless it ran and ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def current_stage(self) -> RunStage | None:
        """Where it is; None unless it runs and has reported."""
        return RunStage.from_json(self.stage) if self.state == self.State.RUNNING else None
