"""How a version answers: users who got an error, another list, or a slow answer first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from experiments.looks.breaker_counts import CAP_MEDIANS
from experiments.metrics.sql import ERRORS, OWN_LISTS
from experiments.sql import min_uuid7

if TYPE_CHECKING:
    from datetime import datetime

    from inference.models import ModelVersion

LATELY = timedelta(hours=6)
MAX_ANSWERS = 20_000

# By the index of the surface's slates, in its order: where the project is named too, the planner may
# read all of the project's rows and sort them. A user counts once, by the first answer: one whose
# requests all fail would count by the hundred.
_FIRST = f"""
    WITH first AS (
        SELECT DISTINCT ON (unit_id) latency_ms, fallback FROM (
            SELECT recommendation_id, unit_id, latency_ms, fallback FROM experiments_slate
            WHERE surface_id = %(surface)s AND recommendation_id >= %(since)s
                AND model_version_id = %(version)s AND NOT forced
            ORDER BY recommendation_id LIMIT %(limit)s) AS answers
        ORDER BY unit_id, recommendation_id)
    SELECT count(*), count(*) FILTER (WHERE fallback IN {ERRORS}),
        count(*) FILTER (WHERE fallback NOT IN {OWN_LISTS}),
        count(*) FILTER (WHERE latency_ms > %(slow)s),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms)
    FROM first"""


@dataclass(frozen=True, slots=True)
class AnswerShares:
    """Users, by their first answer of a version.

    Attributes:
        users: how many.
        errors: whose first answer was an error.
        fallbacks: whose first answer was another list than the version's own.
        slow: whose first answer took longer than the bound.
        median_ms: of these answers; None without any.
        slow_ms: the bound.
    """

    users: int
    errors: int
    fallbacks: int
    slow: int
    median_ms: float | None
    slow_ms: float

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return asdict(self)


def answer_shares(version: ModelVersion) -> AnswerShares:
    """Return how a version answered in the last hours; slow is what took ten of its medians."""
    since = timezone.now() - LATELY
    median = _count(version, since, slow_ms=1e9).median_ms
    return _count(version, since, slow_ms=CAP_MEDIANS * median if median else 1e9)


def answers_since(version: ModelVersion, since: datetime, *, slow_ms: float) -> AnswerShares:
    """Return how a version has answered since a time: its first users there."""
    return _count(version, since, slow_ms=slow_ms)


def _count(version: ModelVersion, since: datetime, *, slow_ms: float) -> AnswerShares:
    with connection.cursor() as cursor:
        cursor.execute(
            _FIRST,
            {
                "surface": version.surface_id,
                "version": version.pk,
                "since": min_uuid7(since),
                "slow": slow_ms,
                "limit": MAX_ANSWERS,
            },
        )
        users, errors, fallbacks, slow, median = cursor.fetchone()
    return AnswerShares(users, errors, fallbacks, slow, median, slow_ms)
