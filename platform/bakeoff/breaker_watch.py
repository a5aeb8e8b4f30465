"""The thread of a worker that watches experiments for harm, beside the worker's tasks.

A thread and no task: neither a look that runs for minutes nor a training may hold up the breaker. Any
number of workers may run it: an experiment is watched by one at a time, and by none too soon
(`watch_experiment`).
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import Error, connection
from redis.exceptions import RedisError

from experiments.actions.trip_breaker import confirm_trips
from experiments.actions.watch_experiment import (
    ExperimentIsBusyError,
    watch_experiment,
    watched_experiments,
)
from experiments.actions.watch_refit import watch_refit, watched_refits
from inference.cache import cache_client
from inference.isolation import for_each
from inference.serving.changes import read_unserved
from inference.supervision import WorkStatus, keep_thread_running

if TYPE_CHECKING:
    from experiments.models import Decision, Experiment

logger = logging.getLogger(__name__)
# Two kinds of workers: while one is busy with a long roll-up, the other watches the rest.
QUEUES = frozenset({"default", "answers"})
WATCH_TICKS = 5
# Of several threads that wake at once the first one watches; the others find that it is too soon.
EARLY = 0.8
MAX_WAIT_SECONDS = 5.0  # in a turn, for all rows that others hold: the refits are behind them


def start_breaker_thread() -> threading.Event:
    """Start the thread; it ends when the event that is returned is set, or with the process."""
    stopping = threading.Event()
    threading.Thread(
        target=keep_thread_running,
        args=(WorkStatus("breaker", max_silence_seconds=600.0), partial(_watch, stopping), stopping),
        name="breaker",
        daemon=True,
    ).start()
    return stopping


def _watch(stopping: threading.Event, status: WorkStatus) -> None:
    pause = WATCH_TICKS * settings.BAKEOFF.tick_seconds
    while not stopping.wait(pause):
        status.beat()
        try:
            watch_experiments(timedelta(seconds=EARLY * pause))
        except (RedisError, OSError) as error:
            logger.warning("no breaker is read back now: %s", error)
        except Error as error:
            logger.warning("no experiment is watched now: %s", error)
            connection.close()


def _watch_running(pause: timedelta) -> None:
    """Watch the running experiments, those first that nobody else is at."""
    busy: list[int] = []

    def watch(experiment: Experiment) -> None:
        try:
            watch_experiment(experiment=experiment, pause=pause)
        except ExperimentIsBusyError:  # nobody waits here, because others wait behind this one
            busy.append(experiment.pk)

    # Looks may lock a row most of the time on a busy machine: who waits for nothing may miss it always.
    def wait_and_watch(experiment: Experiment) -> None:
        wait = timedelta(seconds=max(end - time.monotonic(), 0))
        with suppress(ExperimentIsBusyError):  # the next turn tries again
            watch_experiment(experiment=experiment, pause=pause, wait=wait)

    watched, depends_on = watched_experiments(), ("metrics", "variants")
    for_each(watched, watch, work="breaker", depends_on=depends_on)
    end = time.monotonic() + MAX_WAIT_SECONDS
    for_each(watched.filter(pk__in=busy), wait_and_watch, work="breaker", depends_on=depends_on)


def watch_experiments(pause: timedelta) -> None:
    """Watch every running experiment that has a breaker, and refits; read back trips that nobody has.

    Args:
        pause: at least this long after an experiment was watched last.
    """
    confirm_trips()
    _watch_running(pause)
    unserved = read_unserved(cache_client())

    def watch_one_refit(decision: Decision) -> None:
        watch_refit(decision=decision, unserved=unserved)

    for_each(watched_refits(), watch_one_refit, work="refit")
