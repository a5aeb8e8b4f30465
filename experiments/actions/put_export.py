"""Set where a project's records are exported to, and how often; or end it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import DataExport

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.accounts.models import Project

MIN_SECONDS, MAX_SECONDS = 60, 31 * 24 * 3600
MAX_FOLDER = 1000


class CannotExportError(ValueError):
    """A folder or a schedule breaks its rule."""


def put_export(*, project: Project, folder: Path, every_seconds: int | None, by: str) -> DataExport:
    """Create the export to a folder, or change how often it runs.

    Args:
        project: whose records.
        folder: where to; it is made if it is not there.
        every_seconds: between two runs of the schedule; None: no schedule.
        by: who sets it.

    Raises:
        CannotExportError: another project's folder, no folder that can be written, or a wrong time.
    """
    folder = folder.absolute()
    if every_seconds is not None and not MIN_SECONDS <= every_seconds <= MAX_SECONDS:
        raise CannotExportError(
            f"every == {every_seconds}, must be {MIN_SECONDS} to {MAX_SECONDS} seconds."
        )
    _require_writable(folder)
    with transaction.atomic():
        # Locked by its unique folder: two commands at once make one row.
        export, is_new = DataExport.objects.select_for_update().get_or_create(
            folder=str(folder),
            defaults={"project": project, "every_seconds": every_seconds, "created_by": by},
        )
        if export.project_id != project.pk:
            raise CannotExportError(f"folder == '{folder}', must not be another project's export.")
        before = None if is_new else export.every_seconds
        export.every_seconds = every_seconds
        export.save(update_fields=["every_seconds"])
        detail = {"every_seconds": [before, every_seconds]}
        record_audit(project.pk, actor=by, action="export", subject=str(folder), detail=detail)
    return export


def end_export(*, export: DataExport, by: str) -> None:
    """Forget an export; its files stay, so that the same folder is refused from now on."""
    with transaction.atomic():
        record_audit(export.project_id, actor=by, action="end export", subject=export.folder)
        export.delete()


def _require_writable(folder: Path) -> None:
    if len(str(folder)) > MAX_FOLDER:
        raise CannotExportError(
            f"folder == '{str(folder)[:80]}…', must be {MAX_FOLDER} characters at most."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotExportError(f"folder == '{folder}', cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CannotExportError(f"folder == '{folder}', must be one that can be written to.")
    known = DataExport.objects.filter(folder=str(folder)).exists()
    if not known and any(folder.rglob("*.parquet")):
        # Of an export that was ended, or somebody's own: rows would be there twice, or mixed.
        raise CannotExportError(
            f"folder == '{folder}', must hold no Parquet files that it does not know."
        )
