"""Metrics over events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import KEY, Name
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Archived, Limit, Offset, page_of
from bakeoff.api.renamed import OldName
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.create_metric import CannotCreateError, TakenError, create_metric
from experiments.actions.edit_metric import edit_metric
from experiments.bounds import MAX_SECONDS, MAX_VALUE
from experiments.kinds import CovariateKind, Direction, MetricKind, ValueKind, direction_of
from experiments.metrics.labels import MAX_DESCRIPTION, MAX_OWNER, MAX_TAG, MAX_TAGS
from experiments.models import Metric

router = Router(tags=["surfaces"])


def _read_direction(increase_is_good: object) -> object:
    # What is no boolean goes on as it is, and is refused by the field.
    if not isinstance(increase_is_good, bool):
        return increase_is_good
    return direction_of(increase_is_good=increase_is_good)


class MetricPatch(RequestSchema):
    """What is to change of a metric: a field that is not named stays as it is."""

    old_names = (
        OldName("event_name", "event"),
        OldName("denominator_event", "denominator"),
        OldName("covariate_seconds", "lookback_seconds"),
        OldName(
            "increase_is_good",
            "direction",
            to_new=_read_direction,
            to_old=lambda direction: direction == "increase",
            schema={"type": "boolean"},
        ),
    )

    name: str = Field("", max_length=200)
    event: str = Field("", max_length=100)
    value: ValueKind = "count"
    filters: list[dict[str, Any]] = Field(default_factory=list, max_length=20)
    denominator: str = Field("", max_length=100)
    steps: list[Name] = Field(default_factory=list, max_length=20)
    quantile: float = Field(0.5, gt=0, lt=1)
    window_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    delay_seconds: float = Field(0.0, ge=0, le=MAX_SECONDS)
    cap: float | None = Field(None, gt=0, le=MAX_VALUE)
    cap_quantile: float | None = Field(None, gt=0, lt=1)
    lookback_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    covariate: CovariateKind = "history"
    attributed_only: bool = False
    trusted_only: bool = False
    direction: Direction = "increase"
    description: str = Field("", max_length=MAX_DESCRIPTION)
    owner: str = Field("", max_length=MAX_OWNER, description="Who answers questions about it.")
    tags: list[Annotated[str, Field(min_length=1, max_length=MAX_TAG)]] = Field(
        default_factory=list, max_length=MAX_TAGS, description="By which people find it."
    )


class MetricIn(MetricPatch):
    """A metric to be."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    kind: MetricKind


class MetricOut(MetricIn):
    """A metric."""

    archived_at: datetime | None = None


@router.get("/metrics", response={200: list[MetricOut]})
def list_metrics(
    request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0, *, archived: Archived = False
) -> Any:
    """List the project's metrics, but for archived ones; or those alone."""
    rows = Metric.objects.filter(project=project_of(request), archived_at__isnull=not archived)
    rows = rows.order_by("key")
    return page_of(request, rows, MetricOut, limit=limit, offset=offset)


@router.post("/metrics", response={201: MetricOut})
def make_metric(request: HttpRequest, payload: MetricIn) -> Any:
    """Declare a metric over events; what a running experiment counts never changes."""
    metric = Metric(project=project_of(request), **payload.dict())
    try:
        return Status(201, create_metric(metric=metric, by=actor_of(request)))
    except TakenError as error:
        raise Problem(409, "conflict", str(error), "key") from error
    except CannotCreateError as error:
        raise Problem(422, "cannot_count", str(error), error.field) from error


@router.get("/metrics/{key}", response={200: MetricOut})
def show_metric(request: HttpRequest, key: str) -> Any:
    """Show a metric."""
    return get_or_404(Metric.objects.filter(project=project_of(request)), "metric", key=key)


@router.patch("/metrics/{key}", response={200: MetricOut})
def change_metric(request: HttpRequest, key: str, payload: MetricPatch) -> Any:
    """Change the named fields of a metric, never its key or kind.

    What a started experiment counts was fixed at its start and stays as it is.
    """
    metric = get_or_404(Metric.objects.filter(project=project_of(request)), "metric", key=key)
    try:
        return edit_metric(
            metric=metric, changes=payload.dict(exclude_unset=True), by=actor_of(request)
        )
    except CannotCreateError as error:
        raise Problem(422, "cannot_count", str(error), error.field) from error
