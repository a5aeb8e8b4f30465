"""End a training run that failed, and tell of it; one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import run_path
from inference.models import TrainingRun

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.db.models.expressions import Combinable


def fail_training(runs: QuerySet[TrainingRun], message: str, **fields: Combinable | int) -> bool:
    """Fail the run that is in a set, if there still is one; return whether there was.

    Args:
        runs: at most one row, with every condition under which it may be ended.
        message: why, for the run's page and the alert.
        fields: what else changes.
    """
    with transaction.atomic():
        # Locked first: the alert must be of the run that this call ends, and of no other's.
        run = runs.select_for_update(of=("self",)).select_related("surface").first()
        if run is None:
            return False
        TrainingRun.objects.filter(pk=run.pk).update(
            state=TrainingRun.State.FAILED, message=message, ended_at=Now(), **fields
        )
        alert_on_run(run, Alert.Event.TRAINING_FAILED, message)
    return True


def alert_on_run(run: TrainingRun, event: str, message: str) -> None:
    """Write the alert of a run that ended without a version that may serve."""
    record_alert(
        run.surface.project_id,
        event=event,
        subject=f"run {run.pk}: {run.algorithm} for {run.surface.key}"[:200],
        summary=message,
        detail={
            "run": run.pk,
            "surface": run.surface.key,
            "algorithm": run.algorithm,
            "trigger": run.trigger,
            "attempts": run.attempts,
        },
        path=run_path(run.pk),
    )
