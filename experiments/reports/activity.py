"""What came in, by day or week of the project's own time zone."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from django.db import connection

from experiments.sql import is_excluded

if TYPE_CHECKING:
    from datetime import timedelta

# A day begins at midnight there, which is 23 or 25 hours before the next twice a year. First by unit,
# then by day: counts of distinct units in one step sort every event, and no other process helps.
_ACTIVITY = f"""
    WITH of_unit AS (
        SELECT date_trunc(%(per)s, occurred_at, %(zone)s) AT TIME ZONE %(zone)s AS begins, unit_id,
            count(*) AS events, count(*) FILTER (WHERE inferred) AS inferred,
            count(*) FILTER (WHERE NOT item_known) AS unknown
        FROM experiments_event
        WHERE project_id = %(project)s AND source = 'live'
            AND occurred_at >= date_trunc(%(per)s, %(since)s, %(zone)s)
        GROUP BY begins, unit_id)
    SELECT begins, sum(events)::bigint, count(*), sum(inferred)::bigint, sum(unknown)::bigint,
        count(*) FILTER (WHERE {is_excluded("of_unit")})
    FROM of_unit GROUP BY begins ORDER BY begins"""


def read_activity(
    *, project_id: int, zone: str, per: Literal["day", "week"], now: datetime, back: timedelta
) -> list[dict[str, Any]]:
    """Return one row a day or week with live events; weeks begin on Monday.

    Args:
        project_id: whose events.
        zone: name of the project's time zone.
        per: day or week.
        now: with a time zone.
        back: how far to look back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _ACTIVITY, {"per": per, "zone": zone, "project": project_id, "since": now - back}
        )
        names = ("begins", "events", "units", "credited", "unknown_items", "excluded_units")
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        begins: datetime = row["begins"]
        row["begins"] = date(begins.year, begins.month, begins.day).isoformat()
    return rows
