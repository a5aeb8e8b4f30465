"""Erase users from the archive, and delete files that no project may keep."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from experiments.archive.files import (
    fetch_file,
    put_file,
    rows_of_units,
    scratch_file,
    settle,
    without_units,
)
from experiments.archive.locks import lock_erasures, lock_project
from experiments.archive.place import ArchiveError
from experiments.models import ArchivedMonth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.archive.place import ArchivePlace

logger = logging.getLogger(__name__)


def erase_archived(*, project_id: int, unit_ids: Sequence[str], place: ArchivePlace) -> int:
    """Rewrite each file that holds one of the units without them; return how many rows are gone.

    Must run in the transaction of the erasure, before anything else is written in it: it holds the
    project against an archiving that would write the units again. Safe to run again after it was cut
    off: a file says which one it replaced.

    Raises:
        ArchiveError: a month is being archived, or a file cannot be read or written.
    """
    if not lock_erasures(project_id):
        raise ArchiveError("a month of the project is being archived: try again in a minute.")
    erased = 0
    for row in ArchivedMonth.objects.filter(project_id=project_id):
        if row.archived_at is None:
            # Written and not dropped yet, so PostgreSQL has the rows: the next archiving begins anew.
            place.delete(row.name)
            row.delete()
        else:
            erased += _erase(row, unit_ids, place)
    return erased


def _erase(row: ArchivedMonth, unit_ids: Sequence[str], place: ArchivePlace) -> int:
    rows = len(rows_of_units(place, row, unit_ids))
    if not rows:
        return 0
    with scratch_file() as old, scratch_file() as new:
        before = fetch_file(place, row, old)
        content = without_units(old, new, unit_ids, (*before.replaced, before.digest))
        size = new.stat().st_size
        put_file(place, row, new, content)
    settle(row, content, size)
    return before.rows - content.rows


def expire_archive(*, retention: Mapping[int, int], now: datetime, place: ArchivePlace) -> int:
    """Delete files whose newest row is older than the retention, and those of projects that are gone.

    Args:
        retention: days, by project; one that is not in it is gone.
        now: with a time zone.
        place: the archive.

    Returns:
        How many files were deleted.

    Raises:
        ArchiveError: a file cannot be deleted.
    """
    expired = [row for row in ArchivedMonth.objects.all() if _is_expired(row, retention, now)]
    for row in expired:
        with transaction.atomic():
            lock_project(row.project_id)
            # The file first: a row without a file is tried again, a file without a row would stay.
            place.delete(row.name)
            row.delete()
    if expired:
        logger.info("retention: %d files of the archive deleted", len(expired))
    return len(expired)


def _is_expired(row: ArchivedMonth, retention: Mapping[int, int], now: datetime) -> bool:
    if row.project_id not in retention:
        return True
    if row.archived_at is None or row.last_received_at is None:
        return False
    return row.last_received_at < now - timedelta(days=retention[row.project_id])
