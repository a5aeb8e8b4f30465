"""What programs send and get of an experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db.models import Prefetch, prefetch_related_objects
from ninja import Field, Schema

from bakeoff.api.field_types import KEY
from bakeoff.api.renamed import OldName, RenamedSchema
from bakeoff.api.request_schema import RequestSchema
from bakeoff.config_file.export import metrics_as_config, variants_as_config
from experiments.actions.define_experiment import MAX_EXPERIMENT_NAME
from experiments.actions.experiment_draft import DEFAULT_BREAKER_ALPHA
from experiments.assignment.allocation import Hashing
from experiments.bounds import MAX_BREAKER_ALPHA
from experiments.kinds import Mode, Purpose, Role
from experiments.metrics.labels import MAX_TAG, MAX_TAGS
from experiments.models import Experiment, ExperimentMetric, Variant


def definition() -> tuple[Prefetch[Any, Any, Any], ...]:
    """What an answer reads beside the experiment's own row; made anew, for Django notes rows in it."""
    return (
        Prefetch("variants", Variant.objects.select_related("model_version", "rules")),
        Prefetch("metrics", ExperimentMetric.objects.select_related("metric")),
    )


MAX_EXPERIMENT_OWNER = 150  # as the column is wide


class VariantIn(RequestSchema):
    """A variant to be: `model` is a version such as `two-tower@7`; a flag's has a `value` instead."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    model: str | None = Field(None, pattern=r"^[-a-zA-Z0-9_]+@[0-9]{1,9}$")
    value: bool | int | float | str | dict[str, Any] | None = None
    weight: float = Field(ge=0, le=1)
    is_control: bool = False
    rules: int | None = Field(
        None, ge=1, description="Number of a version of the surface's rules; null: the surface's."
    )


class ExperimentMetricIn(RequestSchema):
    """A metric and its role."""

    metric: str
    role: Role = "primary"
    margin: float = Field(0.05, ge=0, le=1000)
    margin_floor: float = Field(0.0, ge=0, le=1e15, description="Absolute loss accepted beside it.")


class PrerequisiteIn(RequestSchema):
    """Another experiment in which the unit must have one of some variants."""

    experiment: str = Field(min_length=1, max_length=100)
    variants: list[str] = Field(min_length=1, max_length=20)


class RampStepIn(RequestSchema):
    """A share of the traffic: from some time after the start on, or by evidence.

    With `units` and `harm` it is taken when so many units came into the treatment during the step
    before, and `after_seconds` have passed since that began.
    """

    after_seconds: float = Field(ge=0, le=31_536_000)
    allocation: float = Field(gt=0, le=1)
    units: int | None = Field(None, ge=0)
    harm: str | None = Field(None, max_length=40)


class ExperimentIn(RequestSchema):
    """An experiment to be."""

    key: str = Field(min_length=1, max_length=100, pattern=KEY)
    surface: str
    name: str = Field(
        "",
        max_length=MAX_EXPERIMENT_NAME,
        description="What people call it; where it is empty, pages show the key.",
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=MAX_TAG)]] = Field(
        default_factory=list, max_length=MAX_TAGS, description="By which people find it."
    )
    hypothesis: str = Field("", max_length=5000)
    allocation: float = Field(1.0, gt=0, le=1)
    variants: list[VariantIn] = Field(min_length=2, max_length=20)
    metrics: list[ExperimentMetricIn] = Field(min_length=1, max_length=50)
    policy: dict[str, Any] = Field(default_factory=dict)
    segments: list[str] = Field(default_factory=list, max_length=10)
    against_gate: bool = False
    hashing: Hashing = "sha256"
    layer: str | None = None
    slot: tuple[float, float] = (0.0, 1.0)
    condition: dict[str, Any] = Field(default_factory=dict)
    prerequisites: list[PrerequisiteIn] = Field(default_factory=list, max_length=20)
    forced_units: dict[str, str] = Field(default_factory=dict)
    sticky: bool = False
    ramp: list[RampStepIn] = Field(default_factory=list, max_length=50)
    breaker_alpha: float = Field(
        DEFAULT_BREAKER_ALPHA,
        ge=0,
        le=MAX_BREAKER_ALPHA,
        description="Chance that the breaker ends it without harm; 0: no breaker.",
    )
    mode: Mode = Field(
        "split",
        description="`interleave`: each user gets lists of all versions; of a recommend surface. "
        "`bandit`: shares of new users follow the primary metric; see the policy's `floor`. "
        "`cluster`: each value of an attribute of the context gets one variant; see `cluster_by`. "
        "`switchback`: all users get one variant, drawn for each block of time; see `block_seconds` "
        "and `carry_over_seconds`.",
    )


class ExperimentPatch(ExperimentIn):
    """What changes of a draft; a field that is not named stays as it is."""

    owner: str = Field(
        "",
        min_length=1,
        max_length=MAX_EXPERIMENT_OWNER,
        description="Whom questions about it go to: a member of the project, by username.",
    )
    # The defaults only make them optional: fields that were not sent are not read.
    key: str = Field("", min_length=1, max_length=100, pattern=KEY)
    surface: str = ""
    variants: list[VariantIn] = Field(default_factory=list, min_length=2, max_length=20)
    metrics: list[ExperimentMetricIn] = Field(default_factory=list, min_length=1, max_length=50)


class VariantOut(Schema):
    """A variant in the fields of a definition."""

    key: str
    model: str | None
    value: Any = None
    weight: float
    is_control: bool
    rules: int | None


class ExperimentMetricOut(Schema):
    """A metric and its role in the fields of a definition."""

    metric: str
    role: Role
    margin: float
    margin_floor: float


class ExperimentOut(Schema):
    """An experiment: each field of its definition as POST takes it, and its state.

    `confirmed` is of a change: whether every web process serves it by now.
    """

    key: str
    name: str
    owner: str
    tags: list[str]
    surface: str
    variants: list[VariantOut]
    metrics: list[ExperimentMetricOut]
    state: str
    purpose: Purpose
    mode: Mode
    hypothesis: str
    allocation: float
    hashing: str
    layer: str | None
    slot: tuple[float, float]
    condition: dict[str, Any]
    prerequisites: list[dict[str, Any]]
    forced_units: dict[str, str]
    enabled: bool
    sticky: bool
    ramp: list[dict[str, Any]]
    breaker_alpha: float
    evaluated_by: str
    against_gate: bool
    policy: dict[str, Any]
    segments: list[str]
    policy_sha256: str
    started_at: datetime | None
    ended_at: datetime | None
    ends_at: datetime | None
    confirmed: bool | None = None

    @staticmethod
    def resolve_surface(experiment: Experiment) -> str:
        """Name the surface."""
        return experiment.surface.key

    @staticmethod
    def resolve_variants(experiment: Experiment) -> list[dict[str, Any]]:
        """Give the variants; a list reads those of its whole page at once."""
        prefetch_related_objects([experiment], *definition())
        return variants_as_config(experiment.variants.all())

    @staticmethod
    def resolve_metrics(experiment: Experiment) -> list[dict[str, Any]]:
        """Give the metrics with their roles."""
        prefetch_related_objects([experiment], *definition())
        return metrics_as_config(experiment.metrics.all())

    @staticmethod
    def resolve_layer(experiment: Experiment) -> str | None:
        """Name the layer."""
        return experiment.layer.key if experiment.layer is not None else None

    @staticmethod
    def resolve_slot(experiment: Experiment) -> tuple[float, float]:
        """Give the range of the layer."""
        return experiment.slot_low, experiment.slot_high

    @staticmethod
    def resolve_evaluated_by(experiment: Experiment) -> str:
        """Say which clients can evaluate it by themselves."""
        if experiment.hashing == Experiment.Hashing.GROWTHBOOK:
            return "the API, OFREP, our clients and GrowthBook's SDKs"
        return "the API, OFREP and our clients"


class DecisionOut(RenamedSchema):
    """A decision record."""

    old_names = (OldName("made_by", "created_by"), OldName("made_at", "created_at"))

    action: str
    reason: str
    created_by: str
    created_at: datetime
    sha256: str
    previous_sha256: str
    evidence: dict[str, Any]
    read_back: dict[str, float | None]
