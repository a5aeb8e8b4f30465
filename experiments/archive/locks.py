"""Who may work on a project's archived rows: who writes a file, who erases a user, who drops a month.

Locks of the transaction, by numbers of the database: none is left by a process that is killed, and a
pooler may stand in between. None of them gives the transaction an id, so that looks go on.
"""

from __future__ import annotations

import time

from django.db import connection

_CLASS = 0x0A2C  # of ours, among all who lock by numbers
_ALL = 0
WAIT_SECONDS, POLL_SECONDS = 10.0, 0.05


def lock_project(project_id: int) -> None:
    """Wait for a project, and hold it until the transaction ends."""
    _execute("SELECT pg_advisory_xact_lock(%s, %s)", _CLASS, project_id)


def lock_erasures(project_id: int) -> bool:
    """Hold a project, and all months against being dropped; return whether that was done in time."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        # Both or none is waited for by asking again: a month's drop has them the other way round.
        statement = (
            "SELECT pg_try_advisory_xact_lock_shared(%s, %s) AND pg_try_advisory_xact_lock(%s, %s)"
        )
        if _execute(statement, _CLASS, _ALL, _CLASS, project_id):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)


def lock_drop() -> None:
    """Wait for all who erase, and keep them out until the transaction ends."""
    _execute("SELECT pg_advisory_xact_lock(%s, %s)", _CLASS, _ALL)


def _execute(statement: str, *numbers: int) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(numbers))
        row = cursor.fetchone()
    return row[0] if row else None
