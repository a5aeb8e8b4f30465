"""Archive what is old enough, by the schedule."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.archive_months import archive_month
from experiments.archive.place import ArchiveError
from experiments.archive.plan import plan_archive
from experiments.archive.state import archive_place

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger(__name__)
NIGHT = range(1, 5)  # hours, UTC: the schedule comes once an hour, so a failure is tried again


def archive_by_night(now: datetime) -> int:
    """Archive the months that are old enough and that nobody reads; return how many.

    A month that fails stays for the next hour, and the others are tried. Safe to run twice, also at
    once.
    """
    months = settings.BAKEOFF.archive_after_months
    if not months or now.hour not in NIGHT:
        return 0
    archived, place = 0, archive_place()
    for plan in plan_archive(months=months, now=now):
        if plan.reasons:
            logger.info("%s stays: %s", plan.label, plan.reasons[0])
            continue
        try:
            archive_month(plan=plan, place=place, by=PLATFORM, advance=_say_nothing)
        except ArchiveError as error:
            logger.warning("%s is not archived: %s", plan.label, error)
        else:
            archived += 1
    return archived


def _say_nothing(count: int, phase: str = "") -> None:
    """Nobody watches."""
