"""The thread of a worker that delivers alerts, beside the worker's tasks.

A thread and no task: a receiver that hangs must hold up no task, and a task that runs for minutes no
alert. Any number of workers may run it: rows are claimed (`deliveries.py`).
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import Error, connection

from bakeoff.delivery.dispatcher import Dispatcher
from inference.supervision import WorkStatus, keep_thread_running

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)
# Two kinds of workers: when one is gone, the other tells.
QUEUES = frozenset({"default", "answers"})


def start_alert_thread() -> threading.Event:
    """Start the thread; it ends when the event that is returned is set, or with the process."""
    stopping = threading.Event()
    threading.Thread(
        target=keep_thread_running,
        args=(WorkStatus("alerts"), partial(_deliver, stopping), stopping),
        name="alerts",
        daemon=True,
    ).start()
    return stopping


def _deliver(stopping: threading.Event, status: WorkStatus) -> None:
    tick = settings.BAKEOFF.tick_seconds
    with Dispatcher() as dispatcher:
        while not stopping.is_set():
            status.beat()
            _tried(dispatcher.turn)
            if dispatcher.is_idle:
                stopping.wait(tick)
            else:
                dispatcher.wait(tick)


def _tried(work: Callable[[], object]) -> None:
    """Do a part of a turn; without PostgreSQL there is nothing to do, and the next turn tries again."""
    try:
        work()
    except Error as error:
        logger.warning("no alerts are delivered now: %s", error)
        connection.close()
