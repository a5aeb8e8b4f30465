"""Archive, restore and delete surfaces and metrics: operations of the routers that have the rest."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.metrics import MetricOut
from bakeoff.api.metrics import router as metrics
from bakeoff.api.surfaces import SurfaceOut
from bakeoff.api.surfaces import router as surfaces
from experiments.actions.archive_metric import archive_metric, delete_metric, restore_metric
from experiments.actions.archive_surface import (
    CannotArchiveError,
    archive_surface,
    delete_surface,
    restore_surface,
)
from experiments.models import Metric
from inference.models import Surface


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


def _metric(request: HttpRequest, key: str) -> Metric:
    return get_or_404(Metric.objects.filter(project=project_of(request)), "metric", key=key)


def _problem(error: CannotArchiveError) -> Problem:
    return Problem(409, error.code, str(error))


@surfaces.post("/surfaces/{key}/archive", response={200: SurfaceOut})
def archive_one_surface(request: HttpRequest, key: str) -> Any:
    """Archive a surface: it is not served, trained or listed, and keeps its history.

    Where an experiment runs or is drafted, or another surface names it: 409 `in_use`, with names.
    """
    try:
        return archive_surface(surface=_surface(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error


@surfaces.post("/surfaces/{key}/restore", response={200: SurfaceOut})
def restore_one_surface(request: HttpRequest, key: str) -> Any:
    """Restore an archived surface: its champion serves, schedule and autopilot go on."""
    try:
        return restore_surface(surface=_surface(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error


@surfaces.delete("/surfaces/{key}", response={204: None})
def delete_one_surface(request: HttpRequest, key: str) -> Any:
    """Delete an archived surface for good; one that was ever used is 409 `has_history`."""
    try:
        delete_surface(surface=_surface(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error
    return Status(204, None)


@metrics.post("/metrics/{key}/archive", response={200: MetricOut})
def archive_one_metric(request: HttpRequest, key: str) -> Any:
    """Archive a metric: it is not listed and no new experiment has it; reports show it as before.

    One of a running experiment, a draft or an autopilot is 409 `in_use`, with names.
    """
    try:
        return archive_metric(metric=_metric(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error


@metrics.post("/metrics/{key}/restore", response={200: MetricOut})
def restore_one_metric(request: HttpRequest, key: str) -> Any:
    """Restore an archived metric."""
    try:
        return restore_metric(metric=_metric(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error


@metrics.delete("/metrics/{key}", response={204: None})
def delete_one_metric(request: HttpRequest, key: str) -> Any:
    """Delete a metric for good that no experiment has had; another is 409 `has_history`."""
    try:
        delete_metric(metric=_metric(request, key), by=actor_of(request))
    except CannotArchiveError as error:
        raise _problem(error) from error
    return Status(204, None)
