"""The one way to hand work to a worker.

Guarantees: it never raises. What is due stands in a row that is committed before; the message only
hurries it, and `experiments.actions.reconcile` sends it again when the message was lost.
"""

from __future__ import annotations

import importlib
import logging

from django.conf import settings

logger = logging.getLogger(__name__)

# By name: tasks import actions, so actions that hurry a task cannot import it.
EMBED_ITEMS = "inference.tasks.embed_items"
EMBED_IMAGES = "inference.tasks.embed_images"
COLLECT_WORDS = "inference.tasks.embed_words"
PLACE_ITEMS = "inference.tasks.place_missing_items"
RUN_TRAINING = "inference.tasks.run_training"
TRAIN_IN_TURN = "inference.tasks.train_in_turn"


def send(task: str, *arguments: object) -> bool:
    """Ask a worker to run a task now; return whether the broker took the message.

    Args:
        task: name of a task that takes ids and looks in the rows for what is due.
        arguments: its arguments.
    """
    from celery import current_app  # noqa: PLC0415  who changes nothing that is due sends nothing

    importlib.import_module(settings.CELERY_APPLICATION)  # becomes the current one; once
    try:
        current_app.send_task(task, arguments)
    except Exception as error:  # noqa: BLE001  each transport raises its own; the row says what is due
        logger.warning("%s is not sent now, but later: %s", task, error)
        return False
    return True


def send_once(task: str, *arguments: object) -> bool:
    """Ask a worker to run a task, unless a message with these arguments waits already.

    For what a tick asks for again and again until it is done. Returns whether a message was sent.
    """
    from inference.message_marks import mark_messages, unmark_message  # noqa: PLC0415  it imports Celery

    if not all(mark_messages([(task, arguments)])):
        return False
    if not send(task, *arguments):
        unmark_message(task, arguments)
        return False
    return True
