"""Months of slates and events: made ahead, dropped behind.

Guarantees: a month is made without losing what a default partition holds for it, and is dropped only
when it ended before every project's retention. Retention counts from when a row came: a log of past
decades is kept as long as what happens today.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg import sql

from experiments.sql import min_uuid7

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg import Connection

MONTHS_BEHIND = 2  # live events are at most 30 days old
MONTHS_AHEAD = 3
ROWS_PER_DELETE = 50_000


@dataclass(frozen=True, slots=True)
class _Table:
    """A partitioned table.

    Attributes:
        name: of the parent.
        key: the partition key.
        by_uuid: whether that is a UUIDv7 and no time.
        owners: columns that say whose a row is; no statistics are kept of them (migration 0012).
    """

    name: str
    key: str
    by_uuid: bool = False
    owners: tuple[str, ...] = ("project_id",)

    def partition(self, month: date) -> str:
        """Name a month's partition."""
        return f"{self.name}_{month:%Y_%m}"

    def bound(self, moment: datetime) -> datetime | UUID:
        """Return the smallest key of a moment."""
        return min_uuid7(moment) if self.by_uuid else moment


EVENTS = _Table("experiments_event", "occurred_at")
SLATES = _Table(
    "experiments_slate",
    "recommendation_id",
    by_uuid=True,
    owners=("project_id", "experiment_id"),
)
TABLES = (EVENTS, SLATES)


@dataclass(frozen=True, slots=True)
class Partition:
    """A month of a table.

    Attributes:
        table: whose rows.
        name: of the partition.
        month: its first day.
    """

    table: _Table
    name: str
    month: date

    @property
    def end(self) -> datetime:
        """When it is over."""
        return _midnight(_add_months(self.month, 1))


def make_partitions(connection: Connection, today: date) -> list[str]:
    """Make the months around today that are missing; return their names.

    Args:
        connection: any; each month is made in a transaction of its own, or in the caller's.
        today: in UTC.
    """
    names = []
    for table, month in _missing(connection, today):
        _make(connection, table, month)
        names.append(table.partition(month))
    return names


def missing_partitions(connection: Connection, today: date) -> list[str]:
    """Return the names of the months around today that are not made."""
    return [table.partition(month) for table, month in _missing(connection, today)]


def _missing(connection: Connection, today: date) -> list[tuple[_Table, date]]:
    first = _first_of_month(today)
    months = [_add_months(first, n) for n in range(-MONTHS_BEHIND, MONTHS_AHEAD + 1)]
    missing = []
    for table in TABLES:
        existing = set(partitions_of(connection, table.name))
        missing += [(table, month) for month in months if table.partition(month) not in existing]
    return missing


def partitions_of(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's partitions, the default one among them."""
    rows = connection.execute(
        """SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = %s::regclass ORDER BY 1""",
        [table],
    )
    return [row[0] for row in rows]


def _make(connection: Connection, table: _Table, month: date) -> None:
    """Move what the default partition holds of a month into one of its own.

    Attaching takes weaker locks than creating in place, so that reading and writing go on.
    """
    names = {
        "parent": sql.Identifier(table.name),
        "new": sql.Identifier(table.partition(month)),
        "rest": sql.Identifier(f"{table.name}_default"),
        "key": sql.Identifier(table.key),
        "low": sql.Literal(table.bound(_midnight(month))),
        "high": sql.Literal(table.bound(_midnight(_add_months(month, 1)))),
    }
    with connection.transaction():
        connection.execute(
            sql.SQL(
                "LOCK TABLE {rest} IN ACCESS EXCLUSIVE MODE;"
                "CREATE TABLE {new} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
                "WITH moved AS (DELETE FROM {rest} WHERE {key} >= {low} AND {key} < {high} RETURNING *)"
                " INSERT INTO {new} SELECT * FROM moved;"
                "ALTER TABLE {parent} ATTACH PARTITION {new} FOR VALUES FROM ({low}) TO ({high});"
            ).format(**names)
        )
        for owner in table.owners:  # a new partition does not take them from its parent
            connection.execute(
                sql.SQL("ALTER TABLE {new} ALTER COLUMN {owner} SET STATISTICS 0").format(
                    new=names["new"], owner=sql.Identifier(owner)
                )
            )


@dataclass(frozen=True, slots=True)
class Dropped:
    """What retention took away."""

    partitions: list[str]
    rows: int


def drop_expired(connection: Connection, retention: dict[int, int], now: datetime) -> Dropped:
    """Drop months that no project keeps any more, and delete rows that their own project does not.

    Args:
        connection: in autocommit mode; rows are deleted in chunks, each committed by itself.
        retention: days, by project.
        now: with a time zone.
    """
    if not retention:
        return Dropped([], 0)
    # A month goes as a whole when the most patient project needs it no more; the others by rows.
    oldest = now - timedelta(days=max(retention.values()))
    partitions = []
    for table in TABLES:
        for name in partitions_of(connection, table.name):
            month = _month_of(table, name)
            if month is not None and _midnight(_add_months(month, 1)) <= oldest:
                _drop(connection, table, name, oldest)
                partitions.append(name)
    rows = sum(
        _delete_expired(connection, project, now - timedelta(days=days))
        for project, days in retention.items()
    )
    return Dropped(partitions, rows)


def old_partitions(connection: Connection, *, months: int, today: date) -> list[Partition]:
    """Return the months that ended so many months ago or earlier, oldest first.

    Args:
        connection: any.
        months: between a month's end and today, counted in whole months; at least 1.
        today: in UTC.
    """
    last = _add_months(_first_of_month(today), -months - 1)
    listed = [
        Partition(table, name, month)
        for table in TABLES
        for name in partitions_of(connection, table.name)
        if (month := _month_of(table, name)) is not None and month <= last
    ]
    return sorted(listed, key=lambda one: (one.month, one.name))


def drop_partition(connection: Connection, partition: Partition) -> None:
    """Drop a month with all of its rows, in the caller's transaction."""
    names = {"parent": sql.Identifier(partition.table.name), "month": sql.Identifier(partition.name)}
    connection.execute(
        sql.SQL("ALTER TABLE {parent} DETACH PARTITION {month}; DROP TABLE {month}").format(**names)
    )


def _drop(connection: Connection, table: _Table, name: str, oldest: datetime) -> None:
    """Drop a month; events of it that came later, as a loaded log does, go to the default partition."""
    names = {"parent": sql.Identifier(table.name), "month": sql.Identifier(name)}
    with connection.transaction():
        connection.execute(sql.SQL("ALTER TABLE {parent} DETACH PARTITION {month}").format(**names))
        if table is EVENTS:
            connection.execute(
                sql.SQL("INSERT INTO {parent} SELECT * FROM {month} WHERE received_at >= %s").format(
                    **names
                ),
                [oldest],
            )
        connection.execute(sql.SQL("DROP TABLE {month}").format(**names))


def _delete_expired(connection: Connection, project: int, before: datetime) -> int:
    deleted = 0
    for table, column, bound in (
        ("experiments_event", "received_at", before),
        ("experiments_eventid", "received_at", before),
        ("experiments_slate", "recommendation_id", min_uuid7(before)),
        ("experiments_feedback", "received_at", before),
        ("experiments_quarantinedexposure", "received_at", before),
    ):
        statement = sql.SQL(
            "DELETE FROM {table} WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM {table}"
            " WHERE project_id = %s AND {column} < %s LIMIT %s)"
        ).format(table=sql.Identifier(table), column=sql.Identifier(column))
        # In chunks: one long delete would hold back the cleaning of the whole table.
        while count := connection.execute(statement, [project, bound, ROWS_PER_DELETE]).rowcount:
            deleted += count
    return deleted


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


def _add_months(month: date, count: int) -> date:
    months = month.year * 12 + month.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _month_of(table: _Table, partition: str) -> date | None:
    """Read a partition's month from its name; the default one has none."""
    try:
        at = datetime.strptime(partition.removeprefix(f"{table.name}_"), "%Y_%m")  # noqa: DTZ007
    except ValueError:
        return None
    return at.date()
