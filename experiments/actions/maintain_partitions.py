"""Make the partitions of months ahead; drop rows older than their project keeps."""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from django.db import connection

from bakeoff.accounts.expired_sessions import delete_expired_sessions
from bakeoff.accounts.models import Project
from bakeoff.alerts.retention import delete_old_alerts
from experiments.actions.count_decisions import keep_counted
from experiments.actions.delete_old_answers import delete_old_answers
from experiments.actions.erase_archived import expire_archive
from experiments.archive.place import ArchiveError
from experiments.archive.state import archive_place
from experiments.ingest.partitions import drop_expired, make_partitions
from experiments.metrics.segments_at_start import delete_segments_of_ended
from experiments.sql import min_uuid7
from inference.isolation import for_each
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

logger = logging.getLogger(__name__)

MAX_RETENTION_DAYS = 36_500  # beyond it a date would not exist


def maintain_partitions(now: datetime) -> None:
    """Make the partitions of the months ahead, and drop rows older than each project keeps."""
    connection.ensure_connection()
    if created := make_partitions(connection.connection, now.astimezone(UTC).date()):
        logger.info("partitions made: %s", ", ".join(created))
    # A number of days that no date can hold would stop the clean-up of every project.
    retention = {
        pk: min(days, MAX_RETENTION_DAYS)
        for pk, days in Project.objects.values_list("pk", "retention_days")
    }
    _keep_policies(retention, now)
    dropped = drop_expired(connection.connection, retention, now)
    if dropped.partitions or dropped.rows:
        logger.info("retention: %s dropped, %d rows deleted", dropped.partitions, dropped.rows)
    if deleted := delete_old_answers(retention, now):
        logger.info("retention: %d rows of judged answers deleted", deleted)
    _expire_archive(retention, now)
    if deleted := delete_old_alerts(now):
        logger.info("retention: %d alerts deleted", deleted)
    if deleted := delete_segments_of_ended(now):
        logger.info("retention: segments of %d users at starts of ended experiments deleted", deleted)
    if deleted := delete_expired_sessions(now):
        logger.info("retention: %d expired sessions deleted", deleted)


def _keep_policies(retention: Mapping[int, int], now: datetime) -> None:
    bounds = {pk: min_uuid7(now - timedelta(days=days)) for pk, days in retention.items()}
    surfaces = Surface.objects.filter(kind=Surface.Kind.RANK, project__in=bounds)
    # One that cannot be counted holds up nobody's retention.
    for_each(surfaces, lambda one: keep_counted(one, bounds[one.project_id]), work="kept policy")


def _expire_archive(retention: dict[int, int], now: datetime) -> None:
    try:
        expire_archive(retention=retention, now=now, place=archive_place())
    except ArchiveError as error:  # the next turn goes on; other clean-ups do not wait for it
        logger.warning("retention: the archive is not cleaned up: %s", error)
