"""Watch a running experiment for harm: every few seconds, with windows still open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from experiments.actions.trip_breaker import trip_breaker
from experiments.looks.breaker_counts import read_tests
from experiments.looks.roll_up import roll_up
from experiments.models import Experiment

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from experiments.models import Decision

CLOCK_ERROR = timedelta(minutes=1)


def watched_experiments() -> QuerySet[Experiment]:
    """Return the running experiments that have a breaker."""
    return Experiment.objects.running().tests().filter(breaker_alpha__gt=0)


def watch_experiment(*, experiment: Experiment, pause: timedelta) -> Decision | None:
    """Count new outcomes and judge them; switch off what does harm.

    Args:
        experiment: that runs.
        pause: at least this long after it was watched last, by whichever process.

    Returns:
        The decision, when the breaker tripped.
    """
    due = Q(watched_at__isnull=True) | Q(watched_at__lte=Now() - pause)
    # By the database's clock; a time in its future was written by one that was fast.
    due |= Q(watched_at__gt=Now() + CLOCK_ERROR)
    with transaction.atomic():
        # A look of it, or another watcher, holds the row: it counts the same outcomes, and the next
        # turn judges them. Nobody waits here, because other experiments wait behind this one.
        row = watched_experiments().filter(due, pk=experiment.pk)
        if row.select_for_update(skip_locked=True, no_key=True).first() is None:
            return None
        current = roll_up(experiment.pk, timezone.now(), close=False)
        Experiment.objects.filter(pk=experiment.pk).update(watched_at=Now())
        tests = read_tests(current)
    if not any(test.tripped for test in tests):
        return None
    return trip_breaker(experiment=current, tests=tests)
