"""The one way to hand work to a worker.

Guarantees: it never raises. What is due stands in a row that is committed before; the message only
hurries it, and `experiments.actions.reconcile` sends it again when the message was lost.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Task

logger = logging.getLogger(__name__)


def send(task: Task[..., Any], *arguments: object) -> bool:
    """Ask a worker to run a task now; return whether the broker took the message.

    Args:
        task: a task that takes ids and looks in the rows for what is due.
        arguments: its arguments.
    """
    try:
        task.apply_async(arguments)
    except Exception as error:  # noqa: BLE001  each transport raises its own; the row says what is due
        logger.warning("%s is not sent now, but later: %s", task.name, error)
        return False
    return True
