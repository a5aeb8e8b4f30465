"""Who came this week, and what each surface answered in the last day: for a glance, not for a decision.

Guarantees: a page waits for it a second at most, and reads it once in five minutes: distinct users of
two weeks cost as much as all slates of these weeks. Where it takes longer, a page goes without. What
was read quickly is read again sooner, and says when it was read.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, cast

import orjson
import redis.exceptions
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _

from experiments.replica import read_from_replica
from experiments.reports.spark import draw_spark
from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Sequence

WEEK, DAY, HOURS, DAYS = timedelta(days=7), timedelta(days=1), 24, 14
MAX_MILLISECONDS, REMEMBERED_SECONDS = 1000, 300
# It may take a hundredth of the time: what is read in 0.1 seconds is kept for ten.
MIN_REMEMBERED_SECONDS, PART = 10, 100
# What took too long is not tried again by each visit.
NOTHING = b"null"

_USERS = """SELECT count(DISTINCT unit_id) FILTER (WHERE served_at > %(now)s - interval '7 days'),
        count(DISTINCT unit_id) FILTER (WHERE served_at <= %(now)s - interval '7 days')
    FROM experiments_slate
    WHERE project_id = %(project)s AND served_at > %(now)s - interval '14 days'"""
_DAYS = """SELECT floor(extract(epoch FROM %(now)s - served_at) / 86400)::int AS ago,
        count(DISTINCT unit_id)
    FROM experiments_slate
    WHERE project_id = %(project)s AND served_at > %(now)s - interval '14 days'
        AND served_at <= %(now)s
    GROUP BY ago"""
_HOURS = """SELECT s.key, floor(extract(epoch FROM %(now)s - served_at) / 3600)::int AS ago, count(*),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
    FROM experiments_slate AS one JOIN inference_surface AS s ON s.id = one.surface_id
    WHERE one.project_id = %(project)s AND served_at > %(now)s - interval '1 day'
        AND served_at <= %(now)s
    GROUP BY s.key, ago ORDER BY s.key"""


@dataclass(frozen=True, slots=True)
class SurfaceTraffic:
    """What one surface answered in the last 24 hours.

    Attributes:
        surface: its key.
        answers: by hour, the oldest first.
        latency_p95_ms: of the latest hour with answers.
    """

    surface: str
    answers: Sequence[int]
    latency_p95_ms: float

    @property
    def total(self) -> int:
        """Answers of the day."""
        return sum(self.answers)

    @property
    def drawn(self) -> str:
        """The hours as a small picture; what it shows stands in words beside it."""
        label = _("Answers per hour in the last 24 hours, at most %(count)s") % {
            "count": f"{max(self.answers):,}"
        }
        return draw_spark(self.answers, label)


@dataclass(frozen=True, slots=True)
class ProjectTraffic:
    """What came to a project.

    Attributes:
        users: distinct users of the last seven days.
        users_before: of the seven days before.
        surfaces: that answered in the last day.
        days: distinct users of each of the last 14 days, the oldest first.
        as_of: when it was read, in seconds since 1970.
    """

    users: int
    users_before: int
    surfaces: Sequence[SurfaceTraffic]
    days: Sequence[int] = ()
    as_of: float = 0.0

    @property
    def read_at(self) -> datetime:
        """When it was read."""
        return datetime.fromtimestamp(self.as_of, UTC)

    @property
    def change(self) -> float | None:
        """Relative change of users from week to week; None where nobody came before."""
        return self.users / self.users_before - 1 if self.users_before else None

    @property
    def drawn(self) -> str:
        """The days as a small picture; nothing where nobody came."""
        if not any(self.days):
            return ""
        label = _("Users per day in the last 14 days, at most %(count)s") % {
            "count": f"{max(self.days):,}"
        }
        return draw_spark(self.days, label)


def read_traffic(project_id: int, now: datetime) -> ProjectTraffic | None:
    """Return the traffic of a project, some minutes old at most; None where it takes too long."""
    cache, name = cache_client(), f"traffic2:{project_id}"  # the number: of the JSON below
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        if (stored := cast("bytes | None", cache.get(name))) is not None:
            return _parse(stored)
    began = monotonic()
    traffic = read_from_replica(lambda: _measure(project_id, now))
    seconds = PART * (monotonic() - began)
    keep = REMEMBERED_SECONDS if traffic is None else min(seconds, REMEMBERED_SECONDS)
    with contextlib.suppress(redis.exceptions.RedisError, OSError):
        written = NOTHING if traffic is None else orjson.dumps(asdict(traffic))
        cache.set(name, written, ex=max(round(keep), MIN_REMEMBERED_SECONDS))
    return traffic


def _parse(stored: bytes) -> ProjectTraffic | None:
    data = orjson.loads(stored)
    if data is None:
        return None
    surfaces = [SurfaceTraffic(**row) for row in data.pop("surfaces")]
    return ProjectTraffic(**data, surfaces=surfaces)


def _measure(project_id: int, now: datetime) -> ProjectTraffic | None:
    values: dict[str, int | datetime] = {"project": project_id, "now": now}
    try:
        # A savepoint: a statement that is cancelled leaves the page's transaction as it was.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {MAX_MILLISECONDS}")
            cursor.execute(_USERS, values)
            users, users_before = cursor.fetchone()
            cursor.execute(_DAYS, values)
            days = dict(cursor.fetchall())
            cursor.execute(_HOURS, values)
            rows = cursor.fetchall()
    except OperationalError:
        return None
    hours: dict[str, dict[int, tuple[int, float]]] = {}
    for surface, ago, count, latency in rows:
        hours.setdefault(surface, {})[ago] = (count, float(latency))
    surfaces = [_of_surface(key, row) for key, row in hours.items()]
    by_day = [days.get(ago, 0) for ago in reversed(range(DAYS))]
    return ProjectTraffic(users, users_before, surfaces, by_day, now.timestamp())


def _of_surface(key: str, hours: dict[int, tuple[int, float]]) -> SurfaceTraffic:
    answers = [hours.get(ago, (0, 0.0))[0] for ago in reversed(range(HOURS))]
    return SurfaceTraffic(key, answers, hours[min(hours)][1])
