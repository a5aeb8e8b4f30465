"""How long one statement may take, by the kind of work that asks.

Guarantees: on a connection of its own a process's statements end in time, on the server. Behind a
pooler that lends its connections statement by statement nothing is set, since the next client would
inherit it: there the role or the pooler has to have a limit (docs/settings.md); looks set theirs in any
case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.signals import task_prerun
from django.db import connection
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

WEB_SECONDS = 15.0  # a page or an answer of the API; somebody waits, and holds a thread
TASK_SECONDS = 120.0  # refreshes, ramps, the drain
# By queue: a first roll-up reads all that came before it.
QUEUE_SECONDS = {"analysis": 600.0, "train": 3600.0, "embed": 600.0}

# The server's process is another than the connection was told where a pooler stands between.
_SET = """SELECT set_config('statement_timeout', %s, false)
    WHERE pg_backend_pid() = %s"""


class _Limit:
    """What holds in this process now; none before somebody says so."""

    seconds: float | None = None


def limit_statements(seconds: float) -> None:
    """Let every statement of this process end after so many seconds, from now on."""
    if _Limit.seconds is None:
        connection_created.connect(_on_connection)
    _Limit.seconds = seconds
    if connection.connection is not None:
        _apply(connection)


def limit_tasks() -> None:
    """Let each task of this worker have the limit of its queue."""
    task_prerun.connect(_on_task, weak=False)


def _on_task(task: Any, **_: object) -> None:
    queue = (task.request.delivery_info or {}).get("routing_key", "")
    limit_statements(QUEUE_SECONDS.get(queue, TASK_SECONDS))


def _on_connection(connection: BaseDatabaseWrapper, **_: object) -> None:
    _apply(connection)


def _apply(database: BaseDatabaseWrapper) -> None:
    if _Limit.seconds is not None and database.connection is not None:
        with database.cursor() as cursor:
            milliseconds = f"{_Limit.seconds * 1000:.0f}"
            cursor.execute(_SET, [milliseconds, database.connection.info.backend_pid])
