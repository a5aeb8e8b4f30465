"""The thread of a worker that delivers alerts, beside the worker's tasks.

A thread and no task: a receiver that hangs must hold up no task, and a task that runs for minutes no
alert. Any number of workers may run it: rows are claimed (`deliveries.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import Error, connection
from redis.exceptions import RedisError

from bakeoff.delivery.deliveries import database_now
from bakeoff.delivery.digest import write_digests
from bakeoff.delivery.dispatcher import Dispatcher
from bakeoff.delivery.platform_watch import PlatformWatch
from inference.cache import cache_client
from inference.supervision import WorkStatus, keep_thread_running

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)
# Two kinds of workers: when one is gone, the other tells.
QUEUES = frozenset({"default", "answers"})
WATCH_TICKS = 5
DIGEST_SECONDS = 60.0


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


class _Chore:
    """Work that is done now and then between deliveries."""

    def __init__(self, work: Callable[[], object], every_seconds: float) -> None:
        self._work, self._every, self._due_at = work, every_seconds, 0.0

    def do_if_due(self) -> None:
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + self._every
            _tried(self._work)


def _deliver(stopping: threading.Event, status: WorkStatus) -> None:
    tick = settings.BAKEOFF.tick_seconds
    watch = PlatformWatch(cache_client())
    chores = [
        _Chore(watch.turn, WATCH_TICKS * tick),
        _Chore(lambda: write_digests(database_now()), DIGEST_SECONDS),
    ]
    with Dispatcher() as dispatcher:
        while not stopping.is_set():
            status.beat()
            for chore in chores:
                chore.do_if_due()
            _tried(dispatcher.turn)
            if dispatcher.is_idle:
                stopping.wait(tick)
            else:
                dispatcher.wait(tick)


def _tried(work: Callable[[], object]) -> None:
    """Do a part of a turn; what needs a server that is away is tried again by the next."""
    try:
        work()
    except (RedisError, OSError) as error:
        logger.warning("the cache is not watched now: %s", error)
    except Error as error:
        logger.warning("no alerts are delivered now: %s", error)
        connection.close()
