"""What the answers of each version cost and how long they took, over the last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection

if TYPE_CHECKING:
    from inference.models import Surface

SPAN, STEP_HOURS = timedelta(days=7), 6
MAX_VERSIONS = 5  # those that answered most: more lines cannot be told apart

# Answers that a model gave: what was cached, blocked or static says nothing of the version's model.
_TOTALS = """
SELECT generation->>'version', date_bin(make_interval(hours => %(hours)s), served_at, 'epoch'),
       count(*), avg(cost), percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
FROM experiments_slate
WHERE surface_id = %(surface)s AND recommendation_id >= %(first)s AND served_at >= %(since)s
  AND generation->>'provider' IS NOT NULL AND generation->>'version' IS NOT NULL
  AND generation->>'outcome' <> 'cached'
GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class GenerationPoint:
    """The answers of one version within one step.

    Attributes:
        at: where the step begins.
        answers: how many.
        cost: mean cost of one.
        latency_ms: 95th percentile.
    """

    at: datetime
    answers: int
    cost: float
    latency_ms: float


def read_series(surface: Surface, now: datetime) -> dict[str, list[GenerationPoint]]:
    """Return the points of each version, in order; the versions that answered most."""
    since = now - SPAN
    # The ids begin with the time in ms, and have the index.
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    series: dict[str, list[GenerationPoint]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _TOTALS, {"hours": STEP_HOURS, "surface": surface.pk, "first": first, "since": since}
        )
        for version, at, answers, cost, latency_ms in cursor.fetchall():
            point = GenerationPoint(at, answers, float(cost), float(latency_ms))
            series.setdefault(version, []).append(point)
    busiest = sorted(series, key=lambda name: -sum(one.answers for one in series[name]))
    return {name: series[name] for name in sorted(busiest[:MAX_VERSIONS])}
