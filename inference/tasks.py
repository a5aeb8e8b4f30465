"""Celery tasks of inference: each takes ids and may run twice."""

from __future__ import annotations

import subprocess
import sys

from celery import shared_task
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from inference.actions.answer_shadows import answer_shadows
from inference.cache import cache_client
from inference.encoders.item_vectors import embed_missing
from inference.models import Item, ModelVersion, Surface, TrainingRun


@shared_task
def embed_items(item_ids: list[int]) -> int:
    """Embed the texts of some items; texts that have a vector cost nothing."""
    return embed_missing(list(Item.objects.filter(pk__in=item_ids)))


@shared_task
def answer_waiting_shadows() -> None:
    """Let versions in shadow answer what was passed on to them, until nothing waits."""
    for surface in Surface.objects.filter(versions__alias=ModelVersion.Alias.SHADOW).distinct():
        while answer_shadows(
            surface=surface, client=cache_client(), artifacts=settings.BAKEOFF.artifacts
        ):
            pass


@shared_task
def run_training(run_id: int) -> None:
    """Start the training subprocess and wait; a failed one leaves the champion alone."""
    claimed = (
        TrainingRun.objects.free_to_take()
        .filter(pk=run_id)
        .update(
            state=TrainingRun.State.RUNNING,
            lease=F("lease") + 1,
            attempts=F("attempts") + 1,
            started_at=timezone.now(),
            heartbeat_at=timezone.now(),
        )
    )
    if not claimed:
        return
    lease = TrainingRun.objects.values_list("lease", flat=True).get(pk=run_id)
    done = subprocess.run(
        [sys.executable, "-m", "inference.training.run", str(run_id), str(lease)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        TrainingRun.objects.filter(pk=run_id, lease=lease, state=TrainingRun.State.RUNNING).update(
            state=TrainingRun.State.FAILED,
            message=said[-1] if said else f"ended with status {done.returncode}",
            ended_at=timezone.now(),
        )
