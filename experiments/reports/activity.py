"""What came in, by day or week of the project's own time zone."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from django.db import connection

if TYPE_CHECKING:
    from datetime import timedelta

# A day begins at midnight there, which is 23 or 25 hours before the next twice a year.
_ACTIVITY = """
    SELECT date_trunc(%(per)s, occurred_at, %(zone)s) AT TIME ZONE %(zone)s AS begins,
        count(*), count(DISTINCT unit_id), count(*) FILTER (WHERE inferred),
        count(*) FILTER (WHERE NOT item_known),
        count(DISTINCT unit_id) FILTER (WHERE EXISTS (
            SELECT 1 FROM experiments_excludedunit AS out
            WHERE out.project_id = event.project_id AND out.unit_id = event.unit_id))
    FROM experiments_event AS event
    WHERE project_id = %(project)s AND source = 'live'
        AND occurred_at >= date_trunc(%(per)s, %(since)s, %(zone)s)
    GROUP BY begins ORDER BY begins"""


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
