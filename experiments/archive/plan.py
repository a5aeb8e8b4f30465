"""Which months may be archived now, and who still reads the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from django.db import connection
from psycopg import sql

from bakeoff.accounts.models import Project
from experiments.archive.readers import exports_behind, read_readers
from experiments.ingest.partitions import EVENTS, old_partitions
from experiments.models import ArchivedMonth
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from experiments.archive.readers import Reader
    from experiments.ingest.partitions import Partition

_COUNTS = """
    SELECT project_id, count(*), max(xid::text::bigint) FROM ONLY {month} GROUP BY 1 ORDER BY 1"""
_SIZE = "SELECT pg_total_relation_size(%s::regclass)"


@dataclass(frozen=True, slots=True)
class MonthPlan:
    """A month of a table.

    Attributes:
        partition: of PostgreSQL.
        rows: by project.
        bytes: that dropping it frees, indexes among them.
        reasons: why it stays, a sentence each without its period; empty: it goes.
        notes: what will miss its rows, likewise.
    """

    partition: Partition
    rows: Mapping[int, int]
    bytes: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> ArchivedMonth.Table:
        """Its name in the archive."""
        return table_of(self.partition)

    @property
    def label(self) -> str:
        """What it is, for people."""
        return f"{self.table} of {self.partition.month:%Y-%m}"

    @property
    def total(self) -> int:
        """Rows of all projects."""
        return sum(self.rows.values())


def table_of(partition: Partition) -> ArchivedMonth.Table:
    """Return what the archive calls a partition's table."""
    of_events = partition.table is EVENTS
    return ArchivedMonth.Table.EVENTS if of_events else ArchivedMonth.Table.SLATES


def plan_archive(*, months: int, now: datetime) -> list[MonthPlan]:
    """Return the months that ended so long ago, oldest first.

    Args:
        months: between a month's end and now, at least `MIN_ARCHIVE_MONTHS` of the settings.
        now: with a time zone.
    """
    connection.ensure_connection()
    readers = read_readers(now)
    learning = _learning_surfaces()
    return [
        _plan(partition, readers, learning)
        for partition in old_partitions(connection.connection, months=months, today=now.date())
    ]


def _plan(
    partition: Partition,
    readers: Mapping[int, list[Reader]],
    learning: Mapping[int, list[str]],
) -> MonthPlan:
    with connection.cursor() as cursor:
        statement = sql.SQL(_COUNTS).format(month=sql.Identifier(partition.name))
        cursor.execute(cast("str", statement))
        counts = cursor.fetchall()
        cursor.execute(_SIZE, [partition.name])
        size = cursor.fetchone()[0]
    reasons: list[str] = []
    for project, _rows, last in counts:
        reasons += [one.why for one in readers.get(project, ()) if one.since < partition.end]
        if partition.table is EVENTS:
            reasons += exports_behind(project, last)
    reasons += _archived_before(partition, [row[0] for row in counts])
    of_events = partition.table is EVENTS
    notes = [note for row in counts for note in learning.get(row[0], ()) if of_events]
    return MonthPlan(partition, {row[0]: row[1] for row in counts}, size, tuple(reasons), tuple(notes))


def _archived_before(partition: Partition, projects: Iterable[int]) -> list[str]:
    """Refuse what would replace a file: rows that came after their month was archived stay."""
    archived = ArchivedMonth.objects.filter(
        table=table_of(partition), month=partition.month, project__in=projects,
        archived_at__isnull=False,
    )  # fmt: skip
    return ["it is archived already, and these rows came later"] if archived.exists() else []


def _learning_surfaces() -> dict[int, list[str]]:
    """Return which surfaces learn by a schedule, by project, as notes."""
    surfaces = Surface.objects.exclude(retrain_algorithm="").select_related("project")
    notes: dict[int, list[str]] = {}
    for surface in surfaces:
        note = f"trainings of {surface.project.slug}/{surface.key} no longer learn from it"
        notes.setdefault(surface.project_id, []).append(note)
    return notes


def slugs_of(projects: Iterable[int]) -> dict[int, str]:
    """Return the slugs of projects, by their ids."""
    return dict(Project.objects.filter(pk__in=projects).values_list("pk", "slug"))
