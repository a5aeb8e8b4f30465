"""An experiment: its variants, its metrics, its epochs and its states."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bakeoff.accounts.readable_times import times_are_readable
from experiments.assignment import is_whole, reallocate
from experiments.bounds import BoundsError, check_whole_numbers
from experiments.models.metric import Metric
from experiments.stats.policy import Policy, PolicyError

if TYPE_CHECKING:
    from datetime import datetime

    from experiments.models.epoch import Epoch


class WrongStateError(Exception):
    """The act is not possible in the experiment's present state."""

    code = "wrong_state"


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    """Sets of experiments."""

    def running(self) -> Self:
        """Experiments that take traffic."""
        return self.filter(state=Experiment.State.RUNNING)

    def tests(self) -> Self:
        """Experiments that decide something; holdbacks and holdouts only measure."""
        return self.filter(purpose=Experiment.Purpose.TEST)

    def settling(self) -> Self:
        """Tests after whose end a surface settles.

        An interleaving that shipped nothing has changed nothing: everybody gets the champion again.
        The autopilot pauses after one that halted, too: it would halt again at once.
        """
        screened = models.Q(mode=Experiment.Mode.INTERLEAVE, shipped_variant="")
        return self.tests().exclude(screened)


class Experiment(models.Model):
    """A comparison of variants on one surface."""

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        ENDED = "ended"

    class Purpose(models.TextChoices):
        TEST = "test", "decides whether a variant ships"
        HOLDBACK = "holdback", "measures after a promotion whether its gain lasts"
        HOLDOUT = "holdout", "measures what all promotions of a quarter bring"

    class Mode(models.TextChoices):
        SPLIT = "split", "each user in one variant"
        INTERLEAVE = "interleave", "each user in all of them, by interleaved lists"
        BANDIT = "bandit", "each user in one variant, by shares that follow the rewards"
        CLUSTER = "cluster", "each cluster of users, such as a store, in one variant"
        SWITCHBACK = "switchback", "all users in one variant, drawn for each block of time"

    class Hashing(models.TextChoices):
        SHA256 = "sha256", "SHA-256: 53 bits, evaluated here and by our own clients"
        GROWTHBOOK = "growthbook_v2", "GrowthBook v2: 10,000 buckets, evaluated by its SDKs too"

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="experiments"
    )
    surface = models.ForeignKey(
        "inference.Surface", on_delete=models.PROTECT, related_name="experiments"
    )
    key = models.SlugField(max_length=100)
    name = models.CharField(max_length=200, blank=True, help_text="Empty: pages show the key.")
    tags: models.JSONField[list[str]] = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text='By which people find it: ["checkout"].',
    )
    hypothesis = models.TextField(blank=True)
    owner = models.CharField(max_length=150, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.TEST, editable=False)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.SPLIT, db_default="split")
    salt = models.CharField(max_length=64)
    allocation = models.FloatField(default=1.0)
    hashing = models.CharField(max_length=16, choices=Hashing.choices, default=Hashing.SHA256)
    exclusive = models.BooleanField(
        default=True,
        editable=False,
        help_text="Whether it needs its surface, or its part of a layer, for itself.",
    )
    layer = models.ForeignKey(
        "experiments.Layer", null=True, blank=True, on_delete=models.PROTECT, related_name="experiments"
    )
    slot_low = models.FloatField(default=0.0, help_text="Its range of the layer's buckets: from …")
    slot_high = models.FloatField(default=1.0, help_text="… to below.")
    condition: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="Whom it is for: a condition over attributes."
    )
    prerequisites: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list,
        blank=True,
        help_text='Other experiments: [{"experiment": "key", "variants": ["treatment"]}].',
    )
    forced_units: models.JSONField[dict[str, str]] = models.JSONField(
        default=dict, blank=True, help_text="Variants of people who try it out, by unit: not counted."
    )
    enabled = models.BooleanField(default=True, help_text="The kill switch: off, nobody is in it.")
    sticky = models.BooleanField(default=False, help_text="Whether a unit keeps its variant.")
    sticky_since = models.PositiveIntegerField(
        default=0, help_text="Epoch from which on what a unit met is kept; before, it is forgotten."
    )
    blocked_before = models.PositiveIntegerField(
        default=0, help_text="Units that met it in an epoch before this one are left out."
    )
    ramp: models.JSONField[list[dict[str, Any]]] = models.JSONField(
        default=list,
        blank=True,
        help_text='Steps after the start: [{"after_seconds": 3600, "allocation": 0.2}].',
    )
    ramp_hold = models.CharField(
        max_length=300, blank=True, editable=False, help_text="Why it is held."
    )
    breaker_alpha = models.FloatField(
        default=0.001,
        db_default=0.0,
        help_text="Chance that the breaker ends it without harm; 0: no breaker.",
    )
    latency_before: models.JSONField[dict[str, float]] = models.JSONField(
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        blank=True,
        editable=False,
        help_text="The champion's latencies before the start: median_ms, mean_ms.",
    )
    watched_at = models.DateTimeField(null=True, editable=False)
    learnings = models.TextField(blank=True, help_text="For those who come later.")
    archived_at = models.DateTimeField(null=True, blank=True)
    shipped_variant = models.CharField(
        max_length=64, blank=True, editable=False, help_text="What its flag answers after its end."
    )
    policy: models.JSONField[dict[str, Any]] = models.JSONField(default=dict, blank=True)
    policy_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    against_gate = models.BooleanField(default=False, help_text="Its gate had refused a version.")
    segments: models.JSONField[list[str]] = models.JSONField(
        default=list,
        blank=True,
        help_text="Attributes of units, or of the request's context, by which effects are broken down.",
    )
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, editable=False, help_text="When it ends by itself.")
    # Analysis keeps its place here: rows of transactions below it have been rolled up.
    watermark = models.BigIntegerField(default=0, editable=False)
    batches = models.PositiveIntegerField(default=0, editable=False)
    sequential_state: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, blank=True, editable=False
    )

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="experiment_key_is_unique"),
            models.UniqueConstraint(
                fields=["surface"],
                condition=Q(state="running", exclusive=True, layer__isnull=True),
                name="one_running_experiment_per_surface",
            ),
            models.CheckConstraint(
                condition=Q(allocation__gt=0) & Q(allocation__lte=1),
                name="allocation_is_a_positive_share",
            ),
            models.CheckConstraint(
                condition=Q(breaker_alpha__gte=0) & Q(breaker_alpha__lte=0.05),
                name="breaker_alpha_is_a_small_share",
            ),
            models.CheckConstraint(
                condition=Q(slot_low__gte=0) & Q(slot_low__lt=F("slot_high")) & Q(slot_high__lte=1),
                name="a_slot_is_a_range",
            ),
            times_are_readable(
                "experiment_times_are_readable",
                "created_at",
                "started_at",
                "ended_at",
                "archived_at",
                "ends_at",
                "watched_at",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        """Check the policy's fields."""
        try:
            Policy.parse(self.policy)
        except PolicyError as error:
            raise ValidationError({"policy": str(error)}) from error

    # Whether every web process serves the change that was just made; of this object, not stored.
    confirmed: bool | None = None

    @property
    def title(self) -> str:
        """What pages call it: its name, or its key where it has none."""
        return self.name or self.key

    @property
    def is_interleaved(self) -> bool:
        """Whether its users get lists of all its versions."""
        return self.mode == self.Mode.INTERLEAVE

    @property
    def parsed_policy(self) -> Policy:
        """The decision rule that was fixed at the start."""
        return Policy.parse(self.policy)

    @property
    def control(self) -> Variant:
        """The variant that every difference is taken from."""
        return self.variants.get(is_control=True)

    @property
    def treatments(self) -> models.QuerySet[Variant]:
        """The variants that are compared with the control."""
        return self.variants.filter(is_control=False)

    @property
    def primary(self) -> ExperimentMetric:
        """The metric that decides."""
        return self.metrics.select_related("metric").get(role=ExperimentMetric.Role.PRIMARY)

    def require(self, state: State) -> None:
        """Refuse an act that needs another state.

        Raises:
            WrongStateError: the experiment is in another one.
        """
        if self.state != state:
            raise WrongStateError(f"experiment '{self.key}' is {self.state}, must be {state}")

    def require_test(self, act: str) -> None:
        """Refuse an act that only a test allows.

        Raises:
            WrongStateError: it is a holdback or a holdout, which the platform conducts.
        """
        if self.purpose != self.Purpose.TEST:
            raise WrongStateError(f"experiment '{self.key}' is a {self.purpose}, cannot {act}")

    def why_not_startable(self) -> str:
        """Return what is missing before it can start, or nothing."""
        variants = list(self.variants.all())
        if sum(variant.is_control for variant in variants) != 1 or len(variants) < 2:
            return "it needs exactly one control and at least one treatment"
        if not is_whole(total := sum(variant.weight for variant in variants)):
            return f"sum of weights == {total:g}, must be 1"
        if self.metrics.filter(role=ExperimentMetric.Role.PRIMARY).count() != 1:
            return "it needs exactly one primary metric"
        missing = [variant.key for variant in variants if variant.model_version_id is None]
        if missing and self.exclusive:
            return f"variant '{missing[0]}' has no model version"
        try:
            for variant in variants:
                check_whole_numbers(variant.value, f"value of variant '{variant.key}'")
        except BoundsError as error:  # of a draft from before definitions refused it
            return str(error).removesuffix(".")
        return ""

    def start(self, at: datetime | None = None) -> Epoch:
        """Fix the rule and open the first epoch.

        Raises:
            WrongStateError: it is not a draft, or something is missing.
        """
        self.require(self.State.DRAFT)
        if why := self.why_not_startable():
            raise WrongStateError(f"experiment '{self.key}' cannot start: {why}")
        at = at or timezone.now()
        rule = json.dumps(self.rule(), sort_keys=True)
        self.policy_sha256 = hashlib.sha256(rule.encode()).hexdigest()
        self.state, self.started_at = self.State.RUNNING, at
        self.save()
        weights = {variant.key: variant.weight for variant in self.variants.all()}
        return self.epochs.create(
            number=1,
            allocation=self.allocation,
            weights=weights,
            layout=list(weights.items()),
            started_at=at,
        )

    def change(self, *, allocation: float, weights: dict[str, float]) -> Epoch:
        """Open another epoch with other shares; as few units as possible change variant.

        Raises:
            WrongStateError: it does not run.
        """
        self.require(self.State.RUNNING)
        at = timezone.now()
        last = self.epochs.get(ended_at__isnull=True)
        last.ended_at = at
        last.save(update_fields=["ended_at"])
        self.allocation = allocation
        self.save(update_fields=["allocation"])
        for variant in self.variants.all():
            self.variants.filter(pk=variant.pk).update(weight=weights[variant.key])
        return self.epochs.create(
            number=last.number + 1,
            allocation=allocation,
            weights=weights,
            layout=[list(part) for part in reallocate(last.parts, weights)],
            started_at=at,
        )

    def rule(self) -> dict[str, Any]:
        """Return all that decides: the policy, and what each metric counts and is for."""
        return {
            "policy": self.parsed_policy.as_json(),
            "metrics": [
                {
                    "role": metric.role,
                    "margin": metric.margin,
                    "counts": metric.spec,
                    **({"margin_floor": metric.margin_floor} if metric.margin_floor else {}),
                }
                for metric in self.metrics.order_by("id")
            ],
        }

    def end(self, at: datetime | None = None) -> None:
        """Take no more traffic.

        Raises:
            WrongStateError: it does not run.
        """
        self.require(self.State.RUNNING)
        at = at or timezone.now()
        self.state, self.ended_at = self.State.ENDED, at
        self.save(update_fields=["state", "ended_at"])
        self.epochs.filter(ended_at__isnull=True).update(ended_at=at)


class Variant(models.Model):
    """One side of an experiment and the model version that it serves."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    key = models.SlugField(max_length=64)
    is_control = models.BooleanField(default=False)
    weight = models.FloatField(default=0.5)
    model_version = models.ForeignKey(
        "inference.ModelVersion", null=True, blank=True, on_delete=models.PROTECT
    )
    value: models.JSONField[Any] = models.JSONField(
        null=True, blank=True, help_text="What a client of the flag gets; empty: the variant's key."
    )
    rules = models.ForeignKey(
        "experiments.RuleVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="variants",
        help_text="Its rules in place of the surface's; empty: the surface's.",
    )

    class Meta:
        ordering = ["-is_control", "id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="variant_key_is_unique"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(is_control=True), name="one_control"
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=0) & Q(weight__lte=1), name="weight_is_a_share"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class ExperimentMetric(models.Model):
    """What a metric is for in an experiment."""

    class Role(models.TextChoices):
        PRIMARY = "primary"
        SECONDARY = "secondary"
        GUARDRAIL = "guardrail"

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="metrics")
    metric = models.ForeignKey(Metric, on_delete=models.PROTECT)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.SECONDARY)
    margin = models.FloatField(
        default=0.05, help_text="Guardrail: the relative loss that is still accepted."
    )
    margin_floor = models.FloatField(
        default=0.0,
        db_default=0.0,
        help_text="Guardrail: the absolute loss that is accepted too, of shares that are nearly 0.",
    )
    spec: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, editable=False, help_text="What is counted, fixed at the start."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "metric"], name="a_metric_has_one_role"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(role="primary"), name="one_primary_metric"
            ),
            models.CheckConstraint(condition=Q(margin__gte=0), name="margin_is_not_negative"),
            models.CheckConstraint(
                condition=Q(margin_floor__gte=0), name="margin_floor_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric} ({self.role})"
