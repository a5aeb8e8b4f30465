"""Retrain a surface when it is due: once, however many processes ask at the same time.

Guarantees: who asks claims the surface by a conditional update; a claim whose process died is free
after `CLAIM`. A surface that was retrained, or had nothing to learn, is due again after its pause;
one of whose algorithm a run is active, as soon as that has ended.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, Q
from django.db.models.functions import Now

from experiments.actions.retrain_surface import retrain_surface
from inference.actions.queue_training import CannotTrainError, RunActiveError
from inference.models import Surface, TrainingRun

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)
# Longer than freezing the largest log takes; a training that failed to begin is tried again after it.
CLAIM = timedelta(minutes=10)
CLOCK_ERROR = timedelta(minutes=1)


def retrain_if_due(*, surface: Surface, trigger: str, pause: timedelta) -> TrainingRun | None:
    """Queue a run unless there was one within the pause; return it, if there was something to learn.

    Args:
        surface: its `retrain_algorithm` is trained.
        trigger: who asks: `schedule`, `drift`.
        pause: between two runs.
    """
    if not _claim(surface, pause):
        return None
    run = None
    try:
        run = retrain_surface(
            surface=surface,
            algorithm=surface.retrain_algorithm,
            trigger=trigger,
            params=surface.retrain_params,
            skip_unchanged=True,
        )
    except RunActiveError as error:
        # One by hand came after the claim; the surface stays due, as that may be on other parameters.
        logger.info("surface %s is retrained by %s once that has ended: %s", surface, trigger, error)
        Surface.objects.filter(pk=surface.pk).update(retraining_until=None)
        return None
    except CannotTrainError as error:
        logger.warning("surface %s is not retrained by %s: %s", surface, trigger, error)
    # Any other error leaves the claim in place, so that it is not tried again at once.
    Surface.objects.filter(pk=surface.pk).update(last_retrained_at=Now(), retraining_until=None)
    return run


def is_retraining_due(surface: Surface, pause: timedelta) -> bool:
    """Whether a surface could be claimed now."""
    return _due(surface, pause).exists()


def _claim(surface: Surface, pause: timedelta) -> bool:
    """Take the surface for a while."""
    return bool(_due(surface, pause).update(retraining_until=Now() + CLAIM))


def _due(surface: Surface, pause: timedelta) -> QuerySet[Surface]:
    """Return the surface if it is due, by the database's clock; a time in its future is ignored."""
    free = Q(retraining_until__isnull=True) | Q(retraining_until__lt=Now())
    far_ahead = Q(retraining_until__gt=Now() + CLAIM + CLOCK_ERROR)
    due = (
        Q(last_retrained_at__isnull=True)
        | Q(last_retrained_at__lte=Now() - pause)
        | Q(last_retrained_at__gt=Now() + CLOCK_ERROR)
    )
    # Asked before rows are frozen, which takes minutes of a large log: this run would be refused.
    active = TrainingRun.objects.filter(
        surface=surface, algorithm=surface.retrain_algorithm, state__in=TrainingRun.ACTIVE
    )
    return Surface.objects.filter(~Exists(active), free | far_ahead, due, pk=surface.pk)
