"""From observations to decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.utils.functional import cached_property

from experiments.models.served_variant import ServedVariant

if TYPE_CHECKING:
    from experiments.stats.look_input import LookInput
    from experiments.stats.look_result import LookResult


class Observation(models.Model):
    """One unit's value of one metric, and the batch in which it became complete.

    Without foreign-key checks, as the records that it is computed from (decision 0007): three per
    row were half of a roll-up's time.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    metric = models.ForeignKey(
        "experiments.Metric", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    variant = models.ForeignKey(
        "experiments.Variant", on_delete=models.CASCADE, db_index=False, db_constraint=False
    )
    epoch = models.PositiveIntegerField()
    unit_id = models.CharField(max_length=200)
    exposed_at = models.DateTimeField()
    value = models.FloatField(default=0.0, help_text="Or what stands above the line; capped.")
    denominator = models.FloatField(default=1.0, help_text="1 if it is not a ratio.")
    covariate = models.FloatField(default=0.0, help_text="The value before exposure.")
    denominator_covariate = models.FloatField(default=1.0, help_text="The denominator before exposure.")
    uncapped_value = models.FloatField(default=0.0, help_text="The value without the cap.")
    segments = ArrayField(
        models.CharField(max_length=100), default=list, help_text="attribute=value, at exposure."
    )
    cluster = models.CharField(
        max_length=200, default="", db_default="", help_text="That its variant was drawn for, if any."
    )
    batch = models.PositiveIntegerField(null=True, help_text="Null until the window has passed.")
    bet = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Whether its first outcome counts in the breaker, or never will: it is not watched.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "unit_id"], name="a_unit_has_one_value_per_metric"
            )
        ]
        indexes = [
            # Nearly always empty: a unit is in it from its first outcome to the breaker's next turn.
            models.Index(
                fields=["experiment", "metric"],
                condition=Q(bet=False) & ~Q(uncapped_value=0),
                name="outcomes_not_betted_on",
            ),
            models.Index(
                fields=["experiment", "exposed_at"],
                condition=Q(batch__isnull=True),
                name="units_still_in_their_window",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id}: {self.value:g}"


class Total(models.Model):
    """Additive sufficient statistics of one (variant, metric, epoch, batch)."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="totals"
    )
    metric = models.ForeignKey("experiments.Metric", on_delete=models.CASCADE)
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE)
    epoch = models.PositiveIntegerField()
    batch = models.PositiveIntegerField(help_text="0 in segments, which keep no batches.")
    segment = models.CharField(max_length=100, default="", blank=True, help_text="Empty: all units.")
    n = models.BigIntegerField(default=0)
    nonzero = models.BigIntegerField(default=0)
    sum_value = models.FloatField(default=0.0)
    sum_value_squared = models.FloatField(default=0.0)
    sum_denominator = models.FloatField(default=0.0)
    sum_denominator_squared = models.FloatField(default=0.0)
    sum_value_times_denominator = models.FloatField(default=0.0)
    sum_covariate = models.FloatField(default=0.0)
    sum_covariate_squared = models.FloatField(default=0.0)
    sum_value_times_covariate = models.FloatField(default=0.0)
    sum_denominator_covariate = models.FloatField(default=0.0)
    sum_denominator_covariate_squared = models.FloatField(default=0.0)
    sum_value_times_denominator_covariate = models.FloatField(default=0.0)
    sum_denominator_times_covariate = models.FloatField(default=0.0)
    sum_denominator_times_denominator_covariate = models.FloatField(default=0.0)
    sum_covariate_times_denominator_covariate = models.FloatField(default=0.0)
    sum_uncapped_value = models.FloatField(default=0.0, help_text="Of values without the cap.")
    sum_uncapped_value_squared = models.FloatField(default=0.0)
    corrections = models.BigIntegerField(
        default=0, help_text="Units whose value changed after their window had passed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "variant", "epoch", "batch", "segment"],
                name="one_total_per_batch_and_segment",
            )
        ]

    def __str__(self) -> str:
        return f"batch {self.batch} of {self.variant_id}: n = {self.n}"


class QuantileCount(models.Model):
    """How many complete units of a variant have a value in a bucket: a sketch of its quantiles."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="quantile_counts"
    )
    metric = models.ForeignKey("experiments.Metric", on_delete=models.CASCADE)
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE)
    epoch = models.PositiveIntegerField()
    segment = models.CharField(max_length=100, default="", blank=True)
    bucket = models.IntegerField()
    units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "variant", "epoch", "segment", "bucket"],
                name="one_count_per_bucket",
            )
        ]

    def __str__(self) -> str:
        return f"bucket {self.bucket}: {self.units}"


class BreakerCount(models.Model):
    """How many units of a variant had their first outcome, by the epoch of their exposure."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="breaker_counts"
    )
    metric = models.ForeignKey("experiments.Metric", on_delete=models.CASCADE)
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE)
    epoch = models.PositiveIntegerField()
    bin = models.PositiveIntegerField(
        default=0, help_text="Of a latency: which bin its first value is in; else 0."
    )
    units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "metric", "variant", "epoch", "bin"],
                name="one_breaker_count_per_bin",
            )
        ]

    def __str__(self) -> str:
        return f"{self.units} of variant {self.variant_id}"


class ExposureTotal(models.Model):
    """How many units were exposed to a variant in an epoch: what SRM is tested on."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="exposure_totals"
    )
    variant = models.ForeignKey("experiments.Variant", on_delete=models.CASCADE)
    epoch = models.PositiveIntegerField()
    segment = models.CharField(max_length=100, default="", blank=True, help_text="Empty: all units.")
    units = models.BigIntegerField(default=0)
    crossover_units = models.BigIntegerField(
        default=0, help_text="Of these, units that had met another variant before."
    )
    excluded = models.BigIntegerField(
        default=0, help_text="Beside these, units that are left out: bots and internal traffic."
    )
    claimed = models.BigIntegerField(
        db_default=0, help_text="Of these, units whose exposure a public key claims."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "variant", "epoch", "segment"],
                name="one_exposure_total_per_segment",
            )
        ]

    def __str__(self) -> str:
        return f"{self.variant_id}: {self.units}"


class Look(models.Model):
    """One interim analysis: what went in and what came out."""

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="looks"
    )
    number = models.PositiveIntegerField()
    taken_at = models.DateTimeField()
    batch = models.PositiveIntegerField()
    information = models.FloatField(help_text="Complete units over planned units.")
    inputs: models.JSONField[dict[str, Any]] = models.JSONField()
    result: models.JSONField[dict[str, Any]] = models.JSONField()
    action = models.CharField(max_length=24)
    reason = models.TextField()
    serving: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, help_text="How each variant was served since the look before."
    )
    # Beside what went in and what came out, which decisions hash: nothing is decided by it.
    quality: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="What judge and people said of generated answers until then; empty in older looks.",
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="looks_are_numbered")
        ]

    def __str__(self) -> str:
        return f"look {self.number} of {self.experiment}"

    @cached_property
    def parsed_result(self) -> LookResult:
        """What came out, as the type that pages, files and actions read."""
        # Here: most processes that have tables read no look, and numpy and scipy take a second.
        from experiments.stats.look_result import LookResult  # noqa: PLC0415

        return LookResult.from_json(self.result)

    @cached_property
    def parsed_inputs(self) -> LookInput:
        """What went in."""
        from experiments.stats.look_input import LookInput  # noqa: PLC0415  likewise

        return LookInput.from_json(self.inputs)

    @property
    def served_variants(self) -> list[ServedVariant]:
        """How each variant was served since the look before."""
        return [ServedVariant.from_json(key, row) for key, row in self.serving.items()]


class Decision(models.Model):
    """What was decided and on what evidence; chained by hash to the one before in its project."""

    class Action(models.TextChoices):
        SHIP = "ship"
        PREFER = "prefer"
        ROLL_BACK = "roll_back"
        KEEP_RUNNING = "keep_running"
        STOP_INCONCLUSIVE = "stop_inconclusive"
        HALT = "halt"
        PROMOTE = "promote"
        CONFIRM = "confirm"
        LOST = "lost"

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="decisions")
    surface = models.ForeignKey("inference.Surface", on_delete=models.CASCADE, related_name="decisions")
    experiment = models.ForeignKey(
        "experiments.Experiment", null=True, on_delete=models.PROTECT, related_name="decisions"
    )
    action = models.CharField(max_length=24, choices=Action.choices)
    reason = models.TextField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    promoted = models.ForeignKey(
        "inference.ModelVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )
    replaced = models.ForeignKey(
        "inference.ModelVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )
    evidence: models.JSONField[dict[str, Any]] = models.JSONField(default=dict)
    previous_sha256 = models.CharField(max_length=64, blank=True)
    sha256 = models.CharField(max_length=64, unique=True)
    read_back: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, help_text="Which serving processes confirmed the change, and after how long."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} on {self.surface}"

    @property
    def confirmed(self) -> bool:
        """Whether some web process serves, and each of them has read the change back in time."""
        return bool(self.read_back) and None not in self.read_back.values()


class TransactionClock(models.Model):
    """How ids of transactions go on from those of the cluster that the rows were restored from.

    One row; `experiments.metrics.transaction_clock` keeps it.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    cluster = models.CharField(max_length=20, help_text="system_identifier of the cluster; or nothing.")
    offset = models.BigIntegerField(default=0, help_text="What is added to the cluster's own ids.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="there_is_one_transaction_clock")]

    def __str__(self) -> str:
        return f"{self.cluster} + {self.offset}"
