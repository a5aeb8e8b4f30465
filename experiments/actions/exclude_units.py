"""Leave units out of analysis: those on a project's list, and those that no person can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection, transaction

from bakeoff.accounts.audit import record_audit
from experiments.models import ExcludedUnit

if TYPE_CHECKING:
    from collections.abc import Sequence


def exclude_units(*, project_id: int, unit_ids: Sequence[str], by: str) -> int:
    """Leave these out, for good and in every variant; return how many were not left out before."""
    rows = [
        ExcludedUnit(project_id=project_id, unit_id=unit, reason=ExcludedUnit.Reason.INTERNAL)
        for unit in dict.fromkeys(unit_ids)
    ]
    with transaction.atomic():
        # Counted before and after, because an insert that ignores conflicts does not say what was new.
        before = ExcludedUnit.objects.filter(project_id=project_id).count()
        # Excluded once is excluded for good: the first reason and time stay.
        ExcludedUnit.objects.bulk_create(rows, ignore_conflicts=True)
        added = ExcludedUnit.objects.filter(project_id=project_id).count() - before
        record_audit(
            project_id,
            actor=by,
            action="exclude",
            subject=f"{added} units",
            detail={"asked": len(rows), "new": added},
        )
    return added


def exclude_busy_units() -> int:
    """Leave out units that sent more events within a minute than their project allows a person.

    Only what a secret key sent counts: whoever has the public key could send them in any unit's name,
    and to be left out is for good. What public keys send is bounded by their rates.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_excludedunit (project_id, unit_id, reason)
            SELECT event.project_id, event.unit_id, 'rate' FROM experiments_event AS event
            JOIN accounts_project AS project ON project.id = event.project_id
            WHERE event.received_at > now() - interval '1 minute' AND event.source = 'live'
                AND event.trusted
            GROUP BY event.project_id, event.unit_id, project.max_events_per_minute
            HAVING count(*) > project.max_events_per_minute
            ORDER BY 1, 2 ON CONFLICT DO NOTHING"""
        )
        return int(cursor.rowcount)
