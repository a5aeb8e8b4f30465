"""Times that a row may hold: those that every program here can read."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import CheckConstraint, Q

# PostgreSQL knows infinity, years before Christ and of five digits; Python does not, and a row that
# holds one cannot be read at all. A day is left at each end for the time zone in which it is shown.
FIRST = datetime(1, 1, 2, tzinfo=UTC)
LAST = datetime(9999, 12, 30, tzinfo=UTC)


def times_are_readable(name: str, *columns: str) -> CheckConstraint:
    """Return the constraint that each of some columns holds no time, or one that can be read."""
    condition = Q()
    for column in columns:
        condition &= Q(**{f"{column}__range": (FIRST, LAST)})
    return CheckConstraint(condition=condition, name=name)


def clamp_times(table: str, *columns: str) -> str:
    """Return the SQL that replaces times that cannot be read by the nearest that can."""
    first, last = (f"'{bound.isoformat()}'::timestamptz" for bound in (FIRST, LAST))
    wrong = {column: f"{column} NOT BETWEEN {first} AND {last}" for column in columns}
    # Not for all: LEAST and GREATEST would make a time of none.
    values = ", ".join(
        f"{column} = CASE WHEN {test} THEN LEAST(GREATEST({column}, {first}), {last}) ELSE {column} END"
        for column, test in wrong.items()
    )
    return f"UPDATE {table} SET {values} WHERE {' OR '.join(wrong.values())}"  # noqa: S608
