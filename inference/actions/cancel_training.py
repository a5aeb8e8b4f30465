"""Cancel a training run: its lease is taken away, so that its process ends and publishes nothing."""

from __future__ import annotations

import shutil

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from inference.models import TrainingRun


class CannotCancelError(Exception):
    """A run that has ended; the message says how."""


def cancel_training(*, run: TrainingRun, by: str) -> TrainingRun:
    """Cancel a run that waits or works; its process notices within seconds.

    Raises:
        CannotCancelError: it has ended.
    """
    with transaction.atomic():
        # One conditional update: a run that ends at this moment is not cancelled after all. The lease
        # moves on, so that its process cannot publish.
        cancelled = TrainingRun.objects.filter(pk=run.pk, state__in=TrainingRun.ACTIVE).update(
            state=TrainingRun.State.CANCELLED,
            lease=F("lease") + 1,
            message=f"cancelled by {by}",
            ended_at=timezone.now(),
        )
        if cancelled:
            record_audit(
                run.surface.project_id,
                actor=by,
                action="cancel",
                subject=f"{run.algorithm} for {run.surface}",
                detail={"run": run.pk},
            )
    run.refresh_from_db()
    if not cancelled:
        raise CannotCancelError(f"run {run.pk} is {run.state}, must be queued or running.")
    shutil.rmtree(settings.BAKEOFF.home / "checkpoints" / f"run-{run.pk}", ignore_errors=True)
    return run
