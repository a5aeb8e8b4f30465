"""The shape of the file, and its JSON Schema.

A field that is not named stays as it is, and what the file leaves out is never deleted. State is not
configuration: champions, running experiments' progress and data have no place here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from bakeoff.alerts.models import Subscription
from bakeoff.config_file.fields import Section, columns_of, section_of
from experiments.actions.change_surface import EDITABLE
from experiments.actions.plan_judging import SETTINGS as JUDGING
from experiments.kinds import SurveyKind  # noqa: TC001  pydantic reads it while the program runs
from experiments.metrics.labels import MAX_OWNER
from experiments.models import Experiment, JudgePlan, Metric, Programme, SavedGroup
from experiments.programme.settings import SETTINGS as PROGRAMME
from experiments.survey_question import (
    MAX_CHOICE,
    MAX_CHOICES,
    MAX_PERIOD_DAYS,
    MAX_QUESTION,
    MAX_VARIANTS,
)
from inference.models import Surface

VERSION = 1
SCHEMA_PATH = "/v1/config.schema.json"
METRIC_FIELDS = columns_of(Metric, but=("id", "project", "key", "created_at"))
EXPERIMENT_FIELDS = (
    "name", "tags", "hypothesis", "allocation", "policy", "segments", "against_gate", "hashing",
    "condition", "prerequisites", "forced_units", "sticky", "ramp", "breaker_alpha", "mode",
)  # fmt: skip

Key = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[-a-zA-Z0-9_]+$")]
Label = Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]+@[0-9]{1,9}$")]


class ProjectSection(Section):
    """What holds for the whole project."""

    timezone: str = Field("UTC", max_length=64, description="Of days and weeks.")
    retention_days: int = Field(396, ge=31, le=36_500)
    max_events_per_minute: int = Field(300, ge=1, le=1_000_000)
    holdout: float = Field(0.0, ge=0, le=0.5, description="Share of units that no experiment takes.")


class VersionSection(Section):
    """A version that is not trained: an order of items, or a prompt. It is never changed afterwards."""

    list: Literal["popular", "trending", "latest", "search"] | None = None
    list_params: dict[str, Any] = Field(default_factory=dict)
    prompt: dict[str, Any] | None = Field(None, description="Of a surface that generates.")


class RulesSection(Section):
    """A saved version of slate rules."""

    name: str = Field("", max_length=100)
    rules: dict[str, Any] = Field(default_factory=dict)


class SurveySection(Section):
    """A question after a slate. It never changes afterwards; it is turned on and off."""

    kind: SurveyKind | None = None
    question: str = Field("", max_length=MAX_QUESTION)
    choices: list[Annotated[str, Field(max_length=MAX_CHOICE)]] = Field(
        default_factory=list, max_length=MAX_CHOICES
    )
    share: float = Field(1.0, gt=0, le=1, description="Of the users who are asked.")
    period_days: int = Field(30, ge=1, le=MAX_PERIOD_DAYS)
    asks_comment: bool = False
    condition: dict[str, Any] = Field(default_factory=dict, description="Of attributes of the request.")
    variants: list[str] = Field(
        default_factory=list,
        max_length=MAX_VARIANTS,
        description="EXPERIMENT/VARIANT; empty: all users.",
    )
    translations: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Question and choices by language."
    )
    enabled: bool = True


class VariantSection(Section):
    """A variant: `model` is a version such as `two-tower@7`; a flag's has a `value` instead."""

    key: Key
    model: Label | None = None
    value: Any = None
    weight: float = Field(ge=0, le=1)
    is_control: bool = False
    rules: int | None = Field(None, ge=1, description="Number of a saved version of slate rules.")


class MetricRole(Section):
    """A metric's part in an experiment."""

    metric: Key
    role: Literal["primary", "secondary", "guardrail"] = "primary"
    margin: float = Field(0.05, ge=0, le=1000)
    margin_floor: float = Field(0.0, ge=0, le=1e15)


if TYPE_CHECKING:  # made while the program runs: no type that a checker could read
    GroupSection: TypeAlias = Any
    MetricSection: TypeAlias = Any
    SurfaceSection: TypeAlias = Any
    ExperimentSection: TypeAlias = Any
    SubscriptionSection: TypeAlias = Any
else:
    GroupSection = section_of("Group", SavedGroup, ("attribute", "values", "condition"))
    MetricSection = section_of("Metric", Metric, METRIC_FIELDS)
    AutopilotSection = section_of("Autopilot", Programme, PROGRAMME)
    JudgingSection = section_of("Judging", JudgePlan, JUDGING)
    SurfaceSection = section_of(
        "Surface",
        Surface,
        EDITABLE,
        versions=(dict[Label, VersionSection], Field(default_factory=dict)),
        saved_rules=(list[RulesSection], Field(default_factory=list)),
        surveys=(
            dict[Annotated[Key, Field(max_length=64)], SurveySection],
            Field(default_factory=dict),
        ),
        autopilot=(AutopilotSection, Field(default_factory=AutopilotSection)),
        judging=(JudgingSection, Field(default_factory=JudgingSection)),
    )
    ExperimentSection = section_of(
        "Experiment",
        Experiment,
        EXPERIMENT_FIELDS,
        surface=(Key | None, None),
        owner=(
            Annotated[str, Field(min_length=1, max_length=MAX_OWNER)] | None,
            Field(None, description="A username; null: who applies the file, or the platform."),
        ),
        layer=(Key | None, None),
        slot=(Annotated[list[float], Field(min_length=2, max_length=2)], Field(default=[0.0, 1.0])),
        variants=(
            Annotated[list[VariantSection], Field(min_length=2, max_length=20)],
            Field(default=[]),
        ),
        metrics=(Annotated[list[MetricRole], Field(min_length=1, max_length=50)], Field(default=[])),
    )
    SubscriptionSection = section_of(
        "Subscription",
        Subscription,
        ("kind", "events", "enabled"),
        target=(
            Annotated[str, Field(max_length=1000)],
            Field("", description="An e-mail address, a URL, or ${NAME}: read from the environment."),
        ),
    )


class ConfigDocument(Section):
    """A project's configuration."""

    version: Literal[1] = 1
    project: ProjectSection = Field(default_factory=lambda: ProjectSection.model_validate({}))
    groups: dict[Key, GroupSection] = Field(default_factory=dict)
    layers: list[Key] = Field(default_factory=list)
    metrics: dict[Key, MetricSection] = Field(default_factory=dict)
    surfaces: dict[Key, SurfaceSection] = Field(default_factory=dict)
    experiments: dict[Key, ExperimentSection] = Field(default_factory=dict)
    subscriptions: dict[str, SubscriptionSection] = Field(default_factory=dict)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, by which editors complete and check it."""
    schema = ConfigDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
