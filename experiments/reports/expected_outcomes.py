"""What share of users is expected to have an outcome, and how many without one are improbable.

Known is the share among users whom the surface served before the experiment. Where there is none, such
as on a flag or a young platform, a share is assumed that is lower than that of most metrics: an alarm
comes later then, and is seldom false.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction

from experiments.metrics.spec import is_feedback
from experiments.reports.event_search import SEARCH_MILLISECONDS
from experiments.sql import min_uuid7

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Experiment

ASSUMED_RATE = 0.003  # purchases of visitors are among the rarest outcomes that people test
MAX_CHANCE = 0.01  # that nobody has an outcome although all is well
MIN_USERS = 100  # whatever the share: not every user of a day is like every other
MIN_SERVED = 200  # users from whom a share is read
MIN_WITH_OUTCOME = 5
MAX_SLATES = 5000  # the latest ones before the experiment: a page does not wait for more
HISTORY = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class ExpectedOutcomes:
    """How many users are expected to have an outcome.

    Attributes:
        rate: share of users, in (0, 1].
        is_known: whether earlier users of the surface had it; else it is assumed.
    """

    rate: float
    is_known: bool

    @property
    def required_users(self) -> int:
        """How many users without an outcome are improbable: (1 - rate) ^ users is at most 1 in 100."""
        if self.rate >= 1:
            return MIN_USERS
        return max(MIN_USERS, math.ceil(math.log(MAX_CHANCE) / math.log1p(-self.rate)))


ASSUMED = ExpectedOutcomes(ASSUMED_RATE, is_known=False)


def expect_outcomes(experiment: Experiment, spec: MetricSpec, event: str) -> ExpectedOutcomes:
    """Return what is expected of users of a started experiment.

    Of a metric that counts some of the events alone, it is assumed: before the experiment, nobody had
    an attributed one, and any event of the name would be too many.

    Args:
        experiment: whose surface served users before.
        spec: of the metric, with its window.
        event: that it counts.
    """
    if experiment.started_at is None or is_feedback(event) or _is_narrower(spec):
        return ASSUMED
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {SEARCH_MILLISECONDS}")
            served, had_one = _count(cursor, experiment, spec, event)
    except OperationalError:  # the statement was cancelled
        return ASSUMED
    if served < MIN_SERVED or had_one < MIN_WITH_OUTCOME:
        return ASSUMED
    return ExpectedOutcomes(had_one / served, is_known=True)


def _is_narrower(spec: MetricSpec) -> bool:
    """Whether an event of the name within the window may be no outcome."""
    return bool(
        spec.filters or spec.attributed_only or spec.trusted_only or spec.steps or spec.delay_seconds
    )


def _count(
    cursor: CursorWrapper, experiment: Experiment, spec: MetricSpec, event: str
) -> tuple[int, int]:
    """Return how many users were served before, and how many of them had the event in its window."""
    assert experiment.started_at is not None  # noqa: S101  the caller asked
    window = timedelta(seconds=spec.complete_after_seconds)
    until = experiment.started_at - window  # all of the window lies before the experiment
    cursor.execute(
        """
        WITH latest AS (
            SELECT unit_id, served_at FROM experiments_slate
            WHERE surface_id = %(surface)s AND recommendation_id >= %(first)s
                AND recommendation_id < %(last)s
            ORDER BY recommendation_id DESC LIMIT %(limit)s),
        served AS (SELECT unit_id, min(served_at) AS at FROM latest GROUP BY unit_id)
        SELECT count(*), count(*) FILTER (WHERE EXISTS (
            SELECT FROM experiments_event e
            WHERE e.project_id = %(project)s AND e.unit_id = served.unit_id AND e.name = %(event)s
                AND e.occurred_at >= served.at
                AND e.occurred_at < served.at + make_interval(secs => %(window)s)))
        FROM served
        """,
        {
            "surface": experiment.surface_id,
            "project": experiment.project_id,
            "first": min_uuid7(until - HISTORY),
            "last": min_uuid7(until),
            "limit": MAX_SLATES,
            "event": event,
            "window": window.total_seconds(),
        },
    )
    served, had_one = cursor.fetchone()
    return served, had_one
