"""Model versions and training runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from experiments.actions.promote_version import promote_version
from experiments.actions.retrain_surface import retrain_surface
from inference.actions.move_champion import CannotPromoteError
from inference.actions.queue_training import CannotTrainError
from inference.models import ModelVersion, Surface, TrainingRun

router = Router(tags=["models"])


class VersionOut(Schema):
    """A model version."""

    label: str
    alias: str
    artifact_sha256: str
    created_at: datetime
    gate: dict[str, Any]


class RunOut(Schema):
    """A training run."""

    id: int
    recommender: str
    trigger: str
    state: str
    progress: float
    message: str
    version: str | None

    @staticmethod
    def resolve_version(run: TrainingRun) -> str | None:
        """Name what it made."""
        return run.version.label if run.version else None


class TrainIn(Schema):
    """What is to be trained."""

    recommender: str
    params: dict[str, Any] = Field(default_factory=dict)


class PromoteIn(Schema):
    """Why a person promotes a version."""

    reason: str = Field("", max_length=1000)


def _surface(request: HttpRequest, key: str) -> Surface:
    found: Surface = get_object_or_404(Surface, project=project_of(request), key=key)
    return found


@router.get("/surfaces/{key}/models", response={200: list[VersionOut], **REFUSALS})
def list_versions(request: HttpRequest, key: str) -> Any:
    """List the versions of a surface, newest first."""
    return _surface(request, key).versions.all()


@router.get("/surfaces/{key}/training-runs", response={200: list[RunOut], **REFUSALS})
def list_runs(request: HttpRequest, key: str) -> Any:
    """List the training runs of a surface, newest first."""
    return _surface(request, key).training_runs.select_related("version")[:100]


@router.post("/surfaces/{key}/training-runs", response={202: RunOut, **REFUSALS})
def train(request: HttpRequest, key: str, payload: TrainIn) -> Any:
    """Retrain on what was recorded; a version that passes its gate goes on to its experiment."""
    try:
        run = retrain_surface(
            surface=_surface(request, key),
            recommender=payload.recommender,
            trigger=actor_of(request),
            params=payload.params,
        )
    except CannotTrainError as error:
        raise Problem(422, "cannot_train", str(error), "recommender") from error
    return Status(202, run)


@router.post("/surfaces/{key}/models/{name}/{number}/promote", response={200: VersionOut, **REFUSALS})
def promote(request: HttpRequest, key: str, name: str, number: int, payload: PromoteIn) -> Any:
    """Make a version the champion by a person's word: a promotion, or a rollback."""
    version: ModelVersion = get_object_or_404(
        ModelVersion, surface=_surface(request, key), name=name, number=number
    )
    try:
        promote_version(
            version=version,
            by=actor_of(request),
            reason=payload.reason or "promoted by a person",
        )
    except CannotPromoteError as error:
        raise Problem(409, "cannot_promote", f"{error}") from error
    version.refresh_from_db()
    return version
