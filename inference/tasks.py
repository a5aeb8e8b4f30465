"""Celery tasks of inference: each takes ids and may run twice."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from inference.actions.build_missing_indexes import build_missing_indexes
from inference.actions.clean_artifacts import clean_artifacts
from inference.actions.collect_words import collect_words
from inference.actions.due_places import place_due
from inference.actions.embed_images import embed_images_for
from inference.actions.place_items import place_items
from inference.actions.train_in_child import stop_child, train_in_child
from inference.encoders.image_vectors import any_image_is_due, want_images
from inference.encoders.item_vectors import embed_missing, settle_vectors
from inference.models import Item, TrainingRun
from inference.sending import EMBED_IMAGES, TRAIN_IN_TURN, send
from inference.training.turns import candidates_for

IMAGE_SECONDS = 20.0  # of a message: new items' texts wait behind it


@shared_task
def embed_items(item_ids: list[int]) -> int:
    """Embed the texts of some items; texts that have a vector cost nothing."""
    items = list(Item.objects.filter(pk__in=item_ids))
    try:
        embedded = embed_missing(items)
    finally:
        place_items(items)  # without an encoder, by labels
    settle_vectors(items)
    # After the texts: whatever becomes of the images, the items are there.
    if _want_images(items):
        send(EMBED_IMAGES)
    return embedded


def _want_images(items: list[Item]) -> int:
    by_project: dict[int, list[str]] = {}
    for item in items:
        by_project.setdefault(item.project_id, []).append(item.image_address)
    return sum(want_images(project, urls) for project, urls in by_project.items())


@shared_task
def embed_images() -> int:
    """Fetch and embed images for a while, and ask to be called again where more are due."""
    if not any_image_is_due():
        return 0
    embedded = embed_images_for(seconds=IMAGE_SECONDS)
    if any_image_is_due():
        send(EMBED_IMAGES)  # at the end of the queue, so that texts come in between
    return embedded


@shared_task
def embed_words(project_id: int) -> int:
    """Store the words of a project's items that were written without them, for a while."""
    return collect_words(project_id=project_id)


@shared_task
def place_missing_items(project_id: int) -> int:
    """Place the items that versions which came into use do not know."""
    return place_due(project_id=project_id)


@shared_task
def run_training(run_id: int) -> None:
    """Start the training subprocess of this run and wait; a failed one leaves the champion alone."""
    if train_in_child(run_id):
        _send_killed(run_id)


@shared_task
def train_in_turn(run_id: int) -> None:
    """Train the run whose turn it is, which need not be the one that was queued with the message."""
    for candidate in candidates_for(run_id):
        if train_in_child(candidate):
            _send_killed(candidate)
            return


def _send_killed(run_id: int) -> None:
    """Queue a run again that was killed: it is taken up where it stood."""
    if TrainingRun.objects.filter(pk=run_id, state=TrainingRun.State.QUEUED).exists():
        send(TRAIN_IN_TURN, run_id)


@shared_task
def build_item_indexes() -> int:
    """Build the indexes that versions with many items lack."""
    return build_missing_indexes(artifacts=settings.BAKEOFF.artifacts)


@shared_task
def clean_stored_artifacts() -> None:
    """Delete artifacts and checkpoints that no version or run needs."""
    home = settings.BAKEOFF
    clean_artifacts(
        artifacts=home.artifacts,
        checkpoints=home.home / "checkpoints",
        snapshots=home.snapshots,
    )


@worker_shutting_down.connect
def _stop_child(**_: object) -> None:
    """Let a worker that is asked to stop give its run back at once."""
    stop_child()
