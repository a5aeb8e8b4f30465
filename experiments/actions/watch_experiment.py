"""Watch a running experiment for harm: every few seconds, with windows still open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from experiments.actions.trip_breaker import trip_breaker
from experiments.looks.breaker_counts import read_tests
from experiments.looks.roll_up import roll_up
from experiments.models import Experiment

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from experiments.models import Decision

CLOCK_ERROR = timedelta(minutes=1)
NO_WAIT = timedelta(0)


def watched_experiments() -> QuerySet[Experiment]:
    """Return the running experiments that have a breaker."""
    return Experiment.objects.running().tests().filter(breaker_alpha__gt=0)


class ExperimentIsBusyError(Exception):
    """Another process holds the experiment's row: a look, a step of its ramp, or another watcher."""


def watch_experiment(
    *, experiment: Experiment, pause: timedelta, wait: timedelta = NO_WAIT
) -> Decision | None:
    """Count new outcomes and judge them; switch off what does harm.

    Args:
        experiment: that runs.
        pause: at least this long after it was watched last, by whichever process.
        wait: for its row, at most.

    Returns:
        The decision, when the breaker tripped.

    Raises:
        ExperimentIsBusyError: the row is still held after the wait.
    """
    due = Q(watched_at__isnull=True) | Q(watched_at__lte=Now() - pause)
    # By the database's clock; a time in its future was written by one that was fast.
    due |= Q(watched_at__gt=Now() + CLOCK_ERROR)
    with transaction.atomic():
        row = watched_experiments().filter(due, pk=experiment.pk)
        if not _lock(row, wait):
            return None
        current = roll_up(experiment.pk, timezone.now(), close=False)
        Experiment.objects.filter(pk=experiment.pk).update(watched_at=Now())
        tests = read_tests(current)
    if not any(test.tripped for test in tests):
        return None
    return trip_breaker(experiment=current, tests=tests)


def _lock(row: QuerySet[Experiment], wait: timedelta) -> bool:
    """Lock the experiment that is in the query set; return whether there is one."""
    milliseconds = max(round(wait / timedelta(milliseconds=1)), 1)  # 0 would be no bound at all
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])
        try:
            is_there = row.select_for_update(no_key=True).first() is not None
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise ExperimentIsBusyError from error
            raise
        # What follows, in this transaction, waits as long as it must.
        cursor.execute("SELECT set_config('lock_timeout', '0', true)")
    return is_there
