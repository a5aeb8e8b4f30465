"""Write what is new to a project's export: each row once, whatever is cut off in between."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.db.models import F
from django.utils import timezone

from experiments.models import DataExport
from experiments.replica import primary_position, read_up_to
from experiments.training_data.exported_rows import SCHEMAS, read_ends, read_rows
from experiments.training_data.parquet_folder import ParquetFolder

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from experiments.training_data.parquet_folder import FileStore


def due_exports() -> QuerySet[DataExport]:
    """Return the exports of the schedule that are due."""
    now = timezone.now()
    scheduled = DataExport.objects.filter(every_seconds__isnull=False)
    due = [
        one.pk
        for one in scheduled
        if one.finished_at is None or one.finished_at + timedelta(seconds=one.every_seconds or 0) <= now
    ]
    return DataExport.objects.filter(pk__in=due)


def export_rows(*, export: DataExport) -> int:
    """Write the rows that are not in the export yet; return how many there were.

    Safe to run twice, also at once: both write the same files, and one of them moves the positions.
    """
    # Noted before anything is written: a second attempt writes files of the same spans.
    free = DataExport.objects.filter(pk=export.pk, pending__isnull=True)
    free.update(pending=read_ends(export.project_id))
    export.refresh_from_db()
    ends = export.pending
    if ends is None:  # another process has just finished
        return 0
    store, rows = ParquetFolder(Path(export.folder)), 0
    # A replica that lacks a row below the ends would leave it out for ever.
    position = primary_position()
    for name in SCHEMAS:
        rows += read_up_to(position, partial(_write, store, export, name, ends[name]))
    DataExport.objects.filter(pk=export.pk, pending=ends).update(
        positions=ends, pending=None, rows=F("rows") + rows, finished_at=timezone.now()
    )
    return rows


def _write(store: FileStore, export: DataExport, name: str, upper: int) -> int:
    lower = export.positions.get(name, 0)
    if lower >= upper:
        return 0
    batches = read_rows(name, project_id=export.project_id, lower=lower, upper=upper)
    # Padded, so that files sort as their rows came.
    return store.put(f"{name}/{lower:020}-{upper:020}.parquet", SCHEMAS[name], batches)
