"""How a surface's answers are judged; data sets, and checks of versions on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.check_version import CannotCheckError, queue_check
from experiments.actions.load_data_set import (
    MAX_ROWS,
    CannotLoadDataSetError,
    load_data_set,
    read_row,
)
from experiments.actions.plan_judging import CannotPlanJudgingError, judging_settings, plan_judging
from experiments.models import DataSet, VersionCheck, judge_plan_of
from inference.models import ModelVersion, Surface

router = Router(tags=["judging"])


class JudgingOut(Schema):
    """How answers are judged."""

    judge: str | None = Field(description="The judge's version as surface/name@number, or null.")
    rubric: str = Field(description="What makes an answer good, for judge and people.")
    points: int = Field(description="Of the scale; 1 is the worst.")
    judge_share: float = Field(description="Share of answers that the judge scores, in [0, 1].")
    label_share: float = Field(description="Share of answers drawn for people to rate, in [0, 1].")
    daily_cost: float = Field(description="What the judge may cost a day, in money; with checks.")
    check_margin: float = Field(description="Loss of a share of rows that a check accepts, in (0, 1].")
    check_min_share: float = Field(
        description="Share of rows that keep each assertion where there is no champion, in [0, 1]."
    )
    check_cost_ratio: float = Field(
        description="As many times the champion's mean cost a check accepts, at least 1."
    )
    check_latency_ratio: float = Field(
        description="As many times the champion's mean latency a check accepts, at least 1."
    )


class JudgingPatch(RequestSchema):
    """Settings to change; what is left out stays."""

    judge: str | None = None
    rubric: str = ""
    points: int = 5
    judge_share: float = 1.0
    label_share: float = 0.05
    daily_cost: float = 1.0
    check_margin: float = 0.05
    check_min_share: float = 0.9
    check_cost_ratio: float = 1.25
    check_latency_ratio: float = 1.5


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.get("/surfaces/{key}/judging", response={200: JudgingOut})
def show_judging(request: HttpRequest, key: str) -> Any:
    """Show how the surface's answers are judged."""
    return judging_settings(judge_plan_of(_surface(request, key)))


@router.patch("/surfaces/{key}/judging", response={200: JudgingOut})
def change_judging(request: HttpRequest, key: str, payload: JudgingPatch) -> Any:
    """Change the named settings."""
    surface = _surface(request, key)
    try:
        plan = plan_judging(
            surface=surface, changes=payload.dict(exclude_unset=True), by=actor_of(request)
        )
    except CannotPlanJudgingError as error:
        raise Problem(422, "invalid_value", str(error), error.field) from error
    return judging_settings(plan)


class DataSetIn(RequestSchema):
    """Inputs that versions are checked on."""

    key: str = Field(max_length=64, description="Its name; a data set of this name is replaced.")
    rows: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description="Objects of messages, variables and assertions, each of which may be missing.",
    )
    assertions: list[dict[str, Any]] = Field(
        default_factory=list, description="What every answer must hold: objects of type and value."
    )
    gate: bool = Field(
        default=False, description="Whether each new version is checked on it by itself."
    )


class DataSetOut(Schema):
    """A data set."""

    key: str
    gate: bool = Field(alias="is_gate")
    assertions: list[dict[str, Any]]
    created_by: str
    created_at: datetime


class CheckIn(RequestSchema):
    """On what a version is checked."""

    data_set: str = Field(max_length=64, description="Key of a data set of the surface.")


class CheckOut(Schema):
    """A check of a version on a data set."""

    data_set: str
    rival: str | None = Field(description="The champion of the time, or null.")
    state: str = Field(description="queued, passed, refused or failed.")
    message: str
    result: dict[str, Any] = Field(description="The gate's table, as a version has it; empty before.")
    created_at: datetime
    ended_at: datetime | None

    @staticmethod
    def resolve_data_set(check: VersionCheck) -> str:
        """Name the data set."""
        return check.data_set.key

    @staticmethod
    def resolve_rival(check: VersionCheck) -> str | None:
        """Name the champion."""
        return check.rival.label if check.rival is not None else None


@router.get("/surfaces/{key}/data-sets", response={200: list[DataSetOut]})
def list_data_sets(request: HttpRequest, key: str) -> Any:
    """List the surface's data sets."""
    return DataSet.objects.filter(surface=_surface(request, key)).order_by("key")[:1000]


@router.post("/surfaces/{key}/data-sets", response={201: DataSetOut})
def load_rows(request: HttpRequest, key: str, payload: DataSetIn) -> Any:
    """Load a data set; one of this key is replaced, with what versions answered to it."""
    surface = _surface(request, key)
    try:
        stored = load_data_set(
            surface=surface,
            key=payload.key,
            rows=[read_row(row, f"rows[{number}]") for number, row in enumerate(payload.rows)],
            assertions=payload.assertions,
            is_gate=payload.gate,
            by=actor_of(request),
        )
    except CannotLoadDataSetError as error:
        raise Problem(422, "invalid_data_set", str(error), error.field) from error
    return Status(201, stored)


def _version(request: HttpRequest, key: str, name: str, number: int) -> ModelVersion:
    rows = ModelVersion.objects.filter(surface=_surface(request, key)).select_related("surface")
    return get_or_404(rows, "model version", algorithm=name, number=number)


@router.get("/surfaces/{key}/models/{name}/{number}/checks", response={200: list[CheckOut]})
def list_checks(request: HttpRequest, key: str, name: str, number: int) -> Any:
    """List the checks of a version, newest first."""
    checks = VersionCheck.objects.filter(version=_version(request, key, name, number))
    return checks.select_related("data_set", "rival")[:100]


@router.post("/surfaces/{key}/models/{name}/{number}/checks", response={202: CheckOut})
def check_on_data_set(request: HttpRequest, key: str, name: str, number: int, payload: CheckIn) -> Any:
    """Queue a check of a version on a data set, beside the champion."""
    version = _version(request, key, name, number)
    data_set = DataSet.objects.filter(surface=version.surface, key=payload.data_set).first()
    if data_set is None:
        raise Problem(
            422, "unknown_data_set", f"data_set == '{payload.data_set}', must be one of the surface's.",
            "data_set",
        )  # fmt: skip
    try:
        return Status(202, queue_check(version=version, data_set=data_set, by=actor_of(request)))
    except CannotCheckError as error:
        raise Problem(409, "being_checked", str(error), error.field) from error
