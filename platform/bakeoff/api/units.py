"""Units: leave them out, hand over their data, erase it; and what a project keeps."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from bakeoff.accounts.change_project import change_project as save_project
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.renamed import OldName, RenamedSchema
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.erase_unit import CannotEraseError, erase_unit
from experiments.actions.exclude_units import exclude_units
from experiments.actions.export_unit import CannotExportUnitError, export_unit
from experiments.reports.activity import read_activity

router = Router(tags=["units"])


class UnitIn(RequestSchema):
    """A unit, by any of its ids; in the body, because addresses end in logs."""

    unit_id: str = Field(min_length=1, max_length=200)


class UnitsIn(RequestSchema):
    """Units, at most 1,000 at once."""

    unit_ids: list[str] = Field(min_length=1, max_length=1000)


class UnitsExcluded(Schema):
    """How many were not left out before."""

    excluded: int


class ErasureOut(Schema):
    """What was deleted, and what stays."""

    ids: int
    rows: dict[str, int]
    cached: int
    snapshots: int
    refused_entries: int
    kept: list[str]


_OLD_NAMES = (OldName("most_events_per_minute", "max_events_per_minute"),)


class ProjectOut(RenamedSchema):
    """What holds for the whole project."""

    old_names = _OLD_NAMES

    slug: str
    timezone: str
    retention_days: int
    max_events_per_minute: int


class ProjectIn(RequestSchema):
    """What is to change."""

    old_names = _OLD_NAMES

    timezone: str | None = Field(None, max_length=64)
    retention_days: int | None = Field(None, ge=31, le=36_500)
    max_events_per_minute: int | None = Field(None, ge=1, le=1_000_000)


class ActivityQuery(Schema):
    """Days or weeks, and how many days back."""

    per: Literal["day", "week"] = "day"
    days: int = Field(28, ge=1, le=400)


class ActivityOut(Schema):
    """One day or week, by the date on which it begins."""

    begins: date
    events: int
    units: int
    credited: int
    unknown_items: int
    excluded_units: int


@router.post("/units/exclude", response={200: UnitsExcluded})
def exclude(request: HttpRequest, payload: UnitsIn) -> Any:
    """Leave units out of analysis, such as your own staff; for good, and in every variant."""
    if wrong := [unit for unit in payload.unit_ids if not 1 <= len(unit) <= 200]:
        raise Problem(
            400,
            "invalid_value",
            f"unit_id == '{wrong[0][:40]}', must be a text of 1 to 200 characters.",
            "unit_ids",
        )
    added = exclude_units(
        project_id=project_of(request).pk, unit_ids=payload.unit_ids, by=actor_of(request)
    )
    return {"excluded": added}


@router.post("/units/export", response={200: dict[str, Any]})
def export(request: HttpRequest, payload: UnitIn) -> Any:
    """Export all data of a unit, under each of its ids."""
    try:
        return export_unit(project_id=project_of(request).pk, unit_id=payload.unit_id)
    except CannotExportUnitError as error:
        raise Problem(409, "cannot_export", str(error)) from error


@router.post("/units/erase", response={200: ErasureOut})
def erase(request: HttpRequest, payload: UnitIn) -> Any:
    """Delete all data of a unit, under each of its ids; this cannot be undone."""
    try:
        return erase_unit(
            project_id=project_of(request).pk, unit_id=payload.unit_id, by=actor_of(request)
        )
    except CannotEraseError as error:
        raise Problem(409, "cannot_erase", str(error)) from error


@router.get("/project", response={200: ProjectOut})
def show_project(request: HttpRequest) -> Any:
    """Show the key's project."""
    return project_of(request)


@router.get("/activity", response={200: list[ActivityOut]})
def show_activity(request: HttpRequest, query: Query[ActivityQuery]) -> Any:
    """Show what came in, by day or week of the project's time zone."""
    project = project_of(request)
    return read_activity(
        project_id=project.pk,
        zone=project.timezone,
        per=query.per,
        now=timezone.now(),
        back=timedelta(days=query.days),
    )


@router.patch("/project", response={200: ProjectOut})
def change_project(request: HttpRequest, payload: ProjectIn) -> Any:
    """Change the time zone, the retention, or how many events a minute one user can send."""
    try:
        return save_project(
            project=project_of(request),
            changes=payload.dict(exclude_none=True),
            by=actor_of(request),
        )
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Problem(422, "invalid_value", messages[0], field) from error
