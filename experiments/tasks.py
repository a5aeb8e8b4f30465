"""Celery tasks that conduct the loop. Beat calls them often; each looks up what is due."""

from __future__ import annotations

import logging
from datetime import UTC
from functools import lru_cache
from typing import cast

from celery import shared_task
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_shares import WouldReshuffleError, step_ramp
from experiments.actions.define_experiment import CannotDefineError
from experiments.actions.exclude_units import exclude_busy_units
from experiments.actions.flag_feedback import flag_feedback
from experiments.actions.look_at_experiment import is_due, look_at_experiment
from experiments.actions.measure_drift import measure_drift
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.start_experiment import CannotStartError
from experiments.analysis.interactions import histories_of
from experiments.ingest.partitions import drop_expired, make_partitions
from experiments.ingest.spill import STREAM, drain
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError
from inference.actions.queue_training import CannotTrainError
from inference.cache import cache_client
from inference.models import ModelVersion, Surface, TrainingRun
from inference.serving.keys import dirty_key
from inference.serving.ranker import Ranker
from inference.serving.refresh import refresh_units
from inference.tasks import run_training

logger = logging.getLogger(__name__)
UNITS_PER_BATCH = 500


@shared_task
def take_due_looks() -> None:
    """Queue a look at every running experiment whose policy asks for it.

    None while spilled facts wait for the database: a verdict must not be given without them.
    """
    if waiting := cache_client().xlen(STREAM):
        logger.warning("no look is taken: spilled commits waiting == %s", waiting)
        return
    for experiment in Experiment.objects.running():
        if is_due(experiment, timezone.now()):
            take_due_look.delay(experiment.pk)


@shared_task
def take_due_look(experiment_id: int) -> None:
    """Look at one experiment, so that trouble with it is its own; asked twice, it looks once."""
    experiment = Experiment.objects.running().filter(pk=experiment_id).first()
    if experiment is not None and is_due(experiment, timezone.now()):
        look_at_experiment(experiment_id=experiment_id)


@shared_task
def step_ramps() -> None:
    """Take the steps of ramps that are due."""
    for experiment in Experiment.objects.running().exclude(ramp=[]):
        try:
            step_ramp(experiment)
        except (WrongStateError, WouldReshuffleError, ValueError) as error:
            logger.error("ramp of %s is not stepped: %s", experiment, error)  # noqa: TRY400


@shared_task
def refresh_dirty_units() -> None:
    """Recompute the candidates of units that did something, until none is left."""
    for surface in Surface.objects.filter(kind=Surface.Kind.RECOMMEND):
        while units := _take_dirty(surface):
            refresh_units(
                cache_client(),
                surface.pk,
                _rankers_in_use(surface),
                histories_of(surface, units),
                candidates=surface.candidates,
            )


def _take_dirty(surface: Surface) -> list[str]:
    taken = cast("list[bytes]", cache_client().spop(dirty_key(surface.pk), UNITS_PER_BATCH) or [])
    return [unit.decode() for unit in taken]


@lru_cache(maxsize=16)
def _load_ranker(digest: str) -> Ranker:
    return Ranker(settings.BAKEOFF.artifacts, digest)


def _rankers_in_use(surface: Surface) -> dict[int, Ranker]:
    """Load the champion and the variants of the running experiment."""
    versions = ModelVersion.objects.filter(
        Q(alias=ModelVersion.Alias.CHAMPION) | Q(variant__experiment__state="running"),
        surface=surface,
    ).distinct()
    return {version.pk: _load_ranker(version.artifact_sha256) for version in versions}


@shared_task
def retrain_due_surfaces() -> None:
    """Queue the runs that the schedule asks for, and send on what passed its gate."""
    for surface in Surface.objects.all():
        try:
            advance_challenger(surface=surface)
        except (CannotDefineError, CannotStartError, CannotPromoteError) as error:
            # One surface's trouble must not hold the others up.
            logger.error("challenger of %s is not advanced: %s", surface, error)  # noqa: TRY400
    for run in TrainingRun.objects.abandoned():
        run_training.delay(run.pk)  # goes on from its last checkpoint
    for surface in Surface.objects.exclude(retrain_recommender=""):
        if not _is_retraining_due(surface):
            continue
        # Claimed by a conditional update, so that two beats queue one run.
        claimed = Surface.objects.filter(
            pk=surface.pk, last_retrained_at=surface.last_retrained_at
        ).update(last_retrained_at=Now())
        if not claimed:
            continue
        try:
            retrain_surface(
                surface=surface,
                recommender=surface.retrain_recommender,
                trigger="schedule",
                params=surface.retrain_params,
                skip_unchanged=True,
            )
        except CannotTrainError as error:
            logger.warning("surface %s is not retrained: %s", surface, error)


def _is_retraining_due(surface: Surface) -> bool:
    if surface.last_retrained_at is None:
        return True
    age = (timezone.now() - surface.last_retrained_at).total_seconds()
    return age >= surface.retrain_every_seconds


@shared_task
def exclude_busy_units_everywhere() -> None:
    """Leave out of analysis whoever sends more events than a person can."""
    exclude_busy_units()


@shared_task
def measure_drift_everywhere() -> None:
    """Compare each surface's last days with the weeks before."""
    for surface in Surface.objects.all():
        measure_drift(surface=surface, now=timezone.now())


@shared_task
def flag_recent_feedback() -> None:
    """Flag feedback that looks copied or comes in a burst."""
    flag_feedback()


@shared_task
def keep_partitions() -> None:
    """Make the months ahead, and let go of what no project keeps any more."""
    connection.ensure_connection()
    now = timezone.now()
    if made := make_partitions(connection.connection, now.astimezone(UTC).date()):
        logger.info("partitions made: %s", ", ".join(made))
    projects = apps.get_model("accounts", "Project").objects
    dropped = drop_expired(
        connection.connection, dict(projects.values_list("pk", "retention_days")), now
    )
    if dropped.partitions or dropped.rows:
        logger.info("retention: %s dropped, %d rows deleted", dropped.partitions, dropped.rows)


@shared_task
def drain_spilled_rows() -> int:
    """Move rows that were spilled while PostgreSQL was away."""
    connection.ensure_connection()
    moved = 0
    while count := drain(cache_client(), connection.connection):
        moved += count
    return moved
