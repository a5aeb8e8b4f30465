"""Move old months of events and slates to the archive.

Guarantees: a row is in PostgreSQL or in the archive, never in none and never counted in both, wherever
the process is killed. A month is dropped by the transaction that marks its files as archived, and only
while what PostgreSQL holds is what the files were written from and were read back to hold. What was cut
off before is begun again, and replaces the same files.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, cast

import pyarrow.compute as pc
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project
from experiments.actions.count_decisions import keep_counted_of
from experiments.archive.files import put_file, scratch_file, settle, write_rows
from experiments.archive.locks import lock_drop, lock_project
from experiments.archive.place import ID_FILE, ArchiveError
from experiments.archive.rows import ROW_HASH, RowStream, read_columns
from experiments.ingest.partitions import drop_partition
from experiments.models import ArchivedMonth
from experiments.sql import min_uuid7
from inference.models import ArtifactStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from experiments.archive.place import ArchivePlace
    from experiments.archive.plan import MonthPlan
    from experiments.archive.rows import TableColumns
    from experiments.ingest.partitions import Partition

logger = logging.getLogger(__name__)
MAX_TRIES, PAUSE_SECONDS = 5, 0.5
# Shorter than PostgreSQL waits before it looks for a deadlock: it is we who begin again.
LOCK_MILLISECONDS = 500
_IN_USE = (LockNotAvailable, DeadlockDetected)
_SUMS = f"SELECT project_id, count(*), sum({ROW_HASH})::text FROM ONLY {{month}} AS stored GROUP BY 1"  # noqa: S608  a constant


class Advance(Protocol):
    """Is told how many rows were done, and in which phase."""

    def __call__(self, count: int, phase: str = "") -> None:
        """Move on by a number of rows."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A month that is in the archive now.

    Attributes:
        rows: of all projects.
        bytes: of its files.
    """

    rows: int
    bytes: int


def archive_month(*, plan: MonthPlan, place: ArchivePlace, by: str, advance: Advance) -> Archived:
    """Write a month to the archive, read it back, and drop it from PostgreSQL.

    Args:
        plan: of the month; without a reason to stay.
        place: the archive.
        by: who does so.
        advance: is told of each row twice: when it is written, and when it is dropped.

    Raises:
        ArchiveError: it must stay, or the archive or the database does not do what it should; the
            month is in PostgreSQL as before.
    """
    if plan.reasons:
        raise ArchiveError(f"{plan.label} stays: {plan.reasons[0]}.")
    check_owner(place)
    partition = plan.partition
    columns = read_columns(partition.table.name)
    # Before the first of both tables goes: a decision without its reward would count as another one.
    keep_counted_of(dict.fromkeys(plan.rows, min_uuid7(partition.end)))
    pending = list(plan.rows)
    for attempt in range(MAX_TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS * attempt)
        for project in pending:
            _write(plan, project, columns, place, advance)
        try:
            pending = _drop(plan, by)
        except (OperationalError, *_IN_USE) as error:
            if not isinstance(error, _IN_USE) and not isinstance(error.__cause__, _IN_USE):
                raise
            pending = []  # what is written stays right; only the drop is tried again
            continue
        if not pending:
            advance(plan.total, f"{plan.label}, dropped")
            return _sums_of(plan)
    raise ArchiveError(f"{plan.label} is in use, or its rows change: it stays, try again later.")


def check_owner(place: ArchivePlace) -> None:
    """Leave this platform's identity in the archive, or compare it.

    Raises:
        ArchiveError: the archive is another platform's, or cannot be written.
    """
    store = ArtifactStore.objects.first()
    if store is None:
        raise ArchiveError("the platform has no identity yet: start it once, then archive.")
    theirs = place.claim(ID_FILE, f"{store.store_id}\n").strip()
    if theirs != str(store.store_id):
        raise ArchiveError(
            f"{place.url} is another platform's archive (id == {theirs:.40}, must be "
            f"{store.store_id}): set BAKEOFF_ARCHIVE to a folder or prefix of its own."
        )


def _write(
    plan: MonthPlan, project: int, columns: TableColumns, place: ArchivePlace, advance: Advance
) -> None:
    """Write the rows of a project; its row in the archive's table is there first."""
    row, _is_new = ArchivedMonth.objects.get_or_create(
        project_id=project, table=plan.table, month=plan.partition.month
    )
    stream, newest = RowStream(), _Newest()
    with transaction.atomic():
        lock_project(project)
        row.refresh_from_db()
        if row.archived_at is not None:
            raise ArchiveError(f"{plan.label} is archived by another process.")
        # Closed here, whatever fails: a cursor that is left open ends a transaction of somebody else.
        read = stream.read(plan.partition, project, columns)
        with scratch_file() as file, closing(read) as batches:
            content = write_rows(file, columns.schema, newest.follow(batches, plan, advance))
            size = file.stat().st_size
            put_file(place, row, file, content)
        if content.rows != stream.rows:
            raise ArchiveError(f"rows of {plan.label} == {content.rows}, must be {stream.rows}.")
        ArchivedMonth.objects.filter(pk=row.pk).update(
            row_hashes=str(stream.row_hashes), last_received_at=newest.at
        )
        settle(row, content, size)


class _Newest:
    """When the newest row came that has passed."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def follow(
        self, batches: Iterator[pa.RecordBatch], plan: MonthPlan, advance: Advance
    ) -> Iterator[pa.RecordBatch]:
        # Slates come when they are served; a log of the past comes long after it happened.
        column = "received_at" if plan.table == ArchivedMonth.Table.EVENTS else "served_at"
        for batch in batches:
            latest = pc.max(batch[column]).as_py()
            self.at = latest if self.at is None else max(self.at, latest)
            advance(batch.num_rows, f"{plan.label}, written and read back")
            yield batch


def _drop(plan: MonthPlan, by: str) -> list[int]:
    """Drop a month whose files hold all of it; return the projects whose files do not.

    Raises:
        OperationalError: the month is in use.
    """
    partition = plan.partition
    with transaction.atomic():
        lock_drop()
        raw = connection.connection
        raw.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
        # Nobody writes to it from here on: what is counted is what is dropped.
        with connection.cursor() as cursor:
            month = sql.Identifier(partition.name)
            lock = sql.SQL("LOCK TABLE ONLY {} IN SHARE MODE").format(month)
            cursor.execute(cast("str", lock))
            cursor.execute(cast("str", sql.SQL(_SUMS).format(month=month)))
            stored = {project: (rows, hashes) for project, rows, hashes in cursor.fetchall()}
        files = {row.project_id: row for row in _rows_of(partition, plan)}
        changed = [
            project
            for project, sums in stored.items()
            if project not in files or sums != (files[project].rows, files[project].row_hashes)
        ]
        if changed:
            return changed
        # Of a project without rows by now: an erasure took its last one.
        empty = [row.pk for project, row in files.items() if project not in stored and row.rows]
        if empty:
            return [row.project_id for row in files.values() if row.pk in empty]
        drop_partition(connection.connection, partition)
        _mark(plan, files, by)
    return []


def _rows_of(partition: Partition, plan: MonthPlan) -> list[ArchivedMonth]:
    rows = ArchivedMonth.objects.filter(
        table=plan.table, month=partition.month, archived_at__isnull=True
    )
    return list(rows.order_by("project_id").select_for_update())


def _mark(plan: MonthPlan, files: dict[int, ArchivedMonth], by: str) -> None:
    ArchivedMonth.objects.filter(pk__in=[row.pk for row in files.values()]).update(
        archived_at=datetime.now(UTC)
    )
    alive = set(Project.objects.filter(pk__in=files).values_list("pk", flat=True))
    for project, row in files.items():
        if project in alive:
            detail = {"rows": row.rows, "bytes": row.bytes}
            record_audit(project, actor=by, action="archive", subject=plan.label, detail=detail)


def _sums_of(plan: MonthPlan) -> Archived:
    rows = ArchivedMonth.objects.filter(table=plan.table, month=plan.partition.month)
    sizes = list(rows.values_list("rows", "bytes"))
    logger.info("%s archived: %d rows", plan.label, sum(one[0] for one in sizes))
    return Archived(sum(one[0] for one in sizes), sum(one[1] for one in sizes))
