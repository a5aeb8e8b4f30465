"""Experiments with their verbs, looks, decisions and report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from bakeoff.accounts.models import Project
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from bakeoff.api.field_types import KEY
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.renamed import OldName, RenamedSchema
from experiments.actions.change_shares import Change, WouldReshuffleError, change_shares
from experiments.actions.check_variant import UnknownVariantError, check_variant
from experiments.actions.define_experiment import (
    CannotDefineError,
    ExperimentDraft,
    ExperimentMetricDraft,
    VariantDraft,
    define_experiment,
)
from experiments.actions.edit_draft import discard_draft, edit_draft
from experiments.actions.explain_assignment import link_of
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.actions.switch_experiment import switch
from experiments.models import Experiment, Layer, Metric
from experiments.models.experiment import WrongStateError
from experiments.reports.experiment_report import report_for_programs
from inference.actions.move_champion import CannotPromoteError, ProcessesUnreachableError
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import wait_until_read

router = Router(tags=["experiments"])


class VariantIn(Schema):
    """A variant to be: `model` is a version such as `two-tower@7`; a flag's has a `value` instead."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    model: str | None = Field(None, pattern=r"^[-a-zA-Z0-9_]+@[0-9]{1,9}$")
    value: bool | int | float | str | dict[str, Any] | None = None
    weight: float = Field(ge=0, le=1)
    is_control: bool = False


class ExperimentMetricIn(Schema):
    """A metric and its role."""

    metric: str
    role: str = Field("primary", pattern="^(primary|secondary|guardrail)$")
    margin: float = Field(0.05, ge=0, le=1000)


class PrerequisiteIn(Schema):
    """Another experiment in which the unit must have one of some variants."""

    experiment: str = Field(min_length=1, max_length=100)
    variants: list[str] = Field(min_length=1, max_length=20)


class RampStepIn(Schema):
    """A share of the traffic, from some time after the start on."""

    after_seconds: float = Field(gt=0, le=31_536_000)
    allocation: float = Field(gt=0, le=1)


class ExperimentIn(Schema):
    """An experiment to be."""

    key: str = Field(min_length=1, max_length=100, pattern=KEY)
    surface: str
    hypothesis: str = Field("", max_length=5000)
    allocation: float = Field(1.0, gt=0, le=1)
    variants: list[VariantIn] = Field(min_length=2, max_length=20)
    metrics: list[ExperimentMetricIn] = Field(min_length=1, max_length=50)
    policy: dict[str, Any] = Field(default_factory=dict)
    segments: list[str] = Field(default_factory=list, max_length=10)
    against_gate: bool = False
    hashing: Literal["sha256", "growthbook_v2"] = "sha256"
    layer: str | None = None
    slot: tuple[float, float] = (0.0, 1.0)
    condition: dict[str, Any] = Field(default_factory=dict)
    prerequisites: list[PrerequisiteIn] = Field(default_factory=list, max_length=20)
    forced_units: dict[str, str] = Field(default_factory=dict)
    sticky: bool = False
    ramp: list[RampStepIn] = Field(default_factory=list, max_length=50)


class ExperimentPatch(ExperimentIn):
    """What changes of a draft; a field that is not named stays as it is."""

    # The defaults only make them optional: fields that were not sent are not read.
    key: str = Field("", min_length=1, max_length=100, pattern=KEY)
    surface: str = ""
    variants: list[VariantIn] = Field(default_factory=list, min_length=2, max_length=20)
    metrics: list[ExperimentMetricIn] = Field(default_factory=list, min_length=1, max_length=50)


class ExperimentOut(Schema):
    """An experiment; `confirmed` is of a change: whether every web process serves it by now."""

    key: str
    surface: str
    state: str
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
    ramp: list[dict[str, float]]
    evaluated_by: str
    against_gate: bool
    policy: dict[str, Any]
    segments: list[str]
    policy_sha256: str
    started_at: datetime | None
    ended_at: datetime | None
    confirmed: bool | None = None

    @staticmethod
    def resolve_surface(experiment: Experiment) -> str:
        """Name the surface."""
        return experiment.surface.key

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


class ReasonIn(Schema):
    """A person's reason."""

    reason: str = Field("", max_length=1000)


class ShipIn(ReasonIn):
    """What is shipped, and why."""

    variant: str


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


def _find(request: HttpRequest, key: str) -> Experiment:
    rows = Experiment.objects.filter(project=project_of(request)).select_related("surface", "layer")
    return get_or_404(rows, "experiment", key=key)


@router.get("/experiments", response={200: list[ExperimentOut], **REFUSALS})
def list_experiments(
    request: HttpRequest,
    state: Literal["draft", "running", "ended"] | None = None,
    limit: Limit = ROWS,
    offset: Offset = 0,
) -> Any:
    """List the project's experiments, newest first."""
    experiments = Experiment.objects.filter(project=project_of(request)).select_related(
        "surface", "layer"
    )
    rows = experiments.filter(state=state) if state else experiments
    return page_of(request, rows, ExperimentOut, limit=limit, offset=offset)


@router.post("/experiments", response={201: ExperimentOut, **REFUSALS})
def make_experiment(request: HttpRequest, payload: ExperimentIn) -> Any:
    """Define an experiment; it takes no traffic before it is started."""
    surface = _surface(project_of(request), payload.surface)
    fields = _draft_fields(surface, payload.dict(exclude={"surface"}))
    draft = ExperimentDraft(surface=surface, owner=actor_of(request), **fields)
    try:
        return Status(201, define_experiment(draft))
    except CannotDefineError as error:
        raise Problem(422, "cannot_define", str(error), error.field) from error


@router.patch("/experiments/{key}", response={200: ExperimentOut, **REFUSALS})
def change_draft(request: HttpRequest, key: str, payload: ExperimentPatch) -> Any:
    """Change the named fields of a draft; all others stay.

    `policy` is merged field by field (null takes a field back to its default); lists are stated whole.
    """
    experiment = _find(request, key)
    project = project_of(request)
    fields = payload.dict(include=payload.model_fields_set)

    def edit(stored: ExperimentDraft) -> ExperimentDraft:
        named = dict(fields)
        surface = _surface(project, named.pop("surface")) if "surface" in named else stored.surface
        if "policy" in named:
            merged = {**stored.policy, **named["policy"]}
            named["policy"] = {name: value for name, value in merged.items() if value is not None}
        return replace(stored, surface=surface, **_draft_fields(surface, named))

    try:
        return edit_draft(experiment=experiment, edit=edit, by=actor_of(request))
    except CannotDefineError as error:
        raise Problem(422, "cannot_define", str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error


@router.delete("/experiments/{key}", response={204: None, **REFUSALS})
def remove_draft(request: HttpRequest, key: str) -> Any:
    """Discard a draft; what was started cannot be deleted."""
    try:
        discard_draft(experiment=_find(request, key), by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    return Status(204, None)


def _draft_fields(surface: Surface, sent: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a request as those of a draft: names become rows.

    Raises:
        Problem: a version, metric or layer that the project does not have.
    """
    fields = dict(sent)
    if "variants" in fields:
        fields["variants"] = [
            VariantDraft(
                v["key"],
                _version(surface, v["model"]) if v["model"] else None,
                v["weight"],
                v["is_control"],
                v["value"],
            )
            for v in fields["variants"]
        ]
    if "metrics" in fields:
        fields["metrics"] = [
            ExperimentMetricDraft(_metric(surface.project, m["metric"]), m["role"], m["margin"])
            for m in fields["metrics"]
        ]
    if "layer" in fields:
        fields["layer"] = _layer(surface.project, fields["layer"])
    return fields


def _surface(project: Project, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project), "surface", key=key)


def _version(surface: Surface, label: str) -> ModelVersion:
    name, _, number = label.partition("@")
    version = surface.versions.filter(algorithm=name, number=int(number)).first()
    if version is None:
        raise Problem(
            422,
            "unknown_model",
            f"model == '{label}', not found on surface '{surface}'.",
            "variants",
        )
    return version


def _layer(project: Project, key: str | None) -> Layer | None:
    if key is None:
        return None
    layer = Layer.objects.filter(project=project, key=key).first()
    if layer is None:
        raise Problem(
            422, "unknown_layer", f"layer == '{key}', not found in project '{project}'.", "layer"
        )
    return layer


def _metric(project: Project, key: str) -> Metric:
    metric = Metric.objects.filter(project=project, key=key).first()
    if metric is None:
        raise Problem(
            422,
            "unknown_metric",
            f"metric == '{key}', not found in project '{project}'.",
            "metrics",
        )
    return metric


@router.get("/experiments/{key}", response={200: ExperimentOut, **REFUSALS})
def show_experiment(request: HttpRequest, key: str) -> Any:
    """Show an experiment."""
    return _find(request, key)


@router.post("/experiments/{key}/start", response={200: ExperimentOut, **REFUSALS})
def start(request: HttpRequest, key: str) -> Any:
    """Start it: the rule is fixed, traffic is split.

    The answer waits until every web process serves it, or says `"confirmed": false` after seconds.
    """
    try:
        experiment = start_experiment(experiment=_find(request, key), by=actor_of(request))
    except (WrongStateError, CannotStartError) as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    return _confirm(experiment)


def _confirm(experiment: Experiment) -> Experiment:
    """Wait until web processes serve a change: who asks next must meet it."""
    experiment.confirmed = not wait_until_read(cache_client())
    return experiment


class ChangeIn(Schema):
    """What changes while it runs; a field that is not named stays."""

    allocation: float | None = Field(None, gt=0, le=1)
    weights: dict[str, float] | None = None
    accept_moves: bool = False
    forget_kept: bool = False
    block_earlier: bool = False


@router.post("/experiments/{key}/ramp", response={200: ExperimentOut, **REFUSALS})
def ramp(request: HttpRequest, key: str, payload: ChangeIn) -> Any:
    """Change its shares: a new epoch begins. What would move units is refused unless it is accepted."""
    experiment = _find(request, key)
    try:
        change_shares(experiment=experiment, change=Change(**payload.dict()), by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    except WouldReshuffleError as error:
        raise Problem(409, "would_reshuffle", str(error), "accept_moves") from error
    except ValueError as error:
        raise Problem(422, "invalid_value", str(error), "weights") from error
    return _confirm(_find(request, key))


class SwitchIn(Schema):
    """The kill switch."""

    enabled: bool


@router.post("/experiments/{key}/switch", response={200: ExperimentOut, **REFUSALS})
def set_enabled(request: HttpRequest, key: str, payload: SwitchIn) -> Any:
    """Switch it off for everybody at once, or on again; its variants stay as they were dealt."""
    try:
        switch(experiment=_find(request, key), enabled=payload.enabled, by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    return _confirm(_find(request, key))


class LinkIn(Schema):
    """Which variant people may see, and for how many days."""

    variant: str = Field(min_length=1, max_length=64)
    days: float = Field(7.0, gt=0, le=90)


class LinkOut(Schema):
    """A token: `force` in a request, or `?bakeoff_force=TOKEN` on a page with the embed."""

    token: str
    query: str
    until: datetime


@router.post("/experiments/{key}/links", response={201: LinkOut, **REFUSALS})
def make_link(request: HttpRequest, key: str, payload: LinkIn) -> Any:
    """Make a link that shows a variant to anyone who has it; their events are not analysed."""
    experiment = _find(request, key)
    try:
        check_variant(experiment, payload.variant)
    except UnknownVariantError as error:
        raise Problem(422, "unknown_variant", str(error), error.field) from error
    until = timezone.now() + timedelta(days=payload.days)
    token = link_of(experiment, payload.variant, int(until.timestamp()))
    return Status(201, {"token": token, "query": f"bakeoff_force={token}", "until": until})


@router.post("/experiments/{key}/stop", response={200: DecisionOut, **REFUSALS})
def stop(request: HttpRequest, key: str, payload: ReasonIn) -> Any:
    """Stop it without a verdict; the champion stays."""
    try:
        decision = stop_experiment(
            experiment=_find(request, key), by=actor_of(request), reason=payload.reason
        )
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    wait_until_read(cache_client())
    return decision


@router.post("/experiments/{key}/ship", response={200: DecisionOut, **REFUSALS})
def ship(request: HttpRequest, key: str, payload: ShipIn) -> Any:
    """Stop it and promote one of its variants."""
    experiment = _find(request, key)
    try:
        return ship_experiment(
            experiment=experiment,
            variant=payload.variant,
            by=actor_of(request),
            reason=payload.reason,
        )
    except UnknownVariantError as error:
        raise Problem(422, "unknown_variant", str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    except ProcessesUnreachableError as error:
        raise Problem(503, "cannot_ask", str(error)) from error
    except CannotPromoteError as error:
        raise Problem(409, "cannot_promote", str(error)) from error


@router.get("/experiments/{key}/decisions", response={200: list[DecisionOut], **REFUSALS})
def list_decisions(request: HttpRequest, key: str) -> Any:
    """List its decision records with their evidence."""
    return _find(request, key).decisions.all()


@router.get("/experiments/{key}/report.json", response={200: dict[str, Any], **REFUSALS})
def show_report(request: HttpRequest, key: str) -> Any:
    """Give the numbers of its report."""
    return report_for_programs(_find(request, key))
