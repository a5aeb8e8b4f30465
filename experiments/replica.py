"""Reading from a replica of the database: reports and exports, which may be some seconds behind.

Guarantees: a piece of work reads one server throughout; what the replica cannot answer, because it is
away, too far behind, or its recovery cancels a statement, is read again from the primary, with a line
in the log. Without a replica, and inside a transaction of the primary, all is read from the primary.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.utils import ConnectionHandler

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)
T = TypeVar("T")
FAULTS = (DatabaseError, InterfaceError)
MAX_LAG_SECONDS = 60.0
# How long a reader waits for a replica to come as far as the primary; a healthy one takes milliseconds.
CATCH_UP_SECONDS, POLL_SECONDS = 2.0, 0.05
PAUSE_SECONDS = 15.0  # after a failure no reader waits for it again so soon

_POSITION = "SELECT pg_current_wal_insert_lsn()::text"
_LAG = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8"
_REACHED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"


class _Pause:
    """Until when the replica of this process is not tried, by `time.monotonic`."""

    until: float = 0.0


class _BehindError(Exception):
    """The replica does not have what is to be read; the message says how far it is behind."""


def read_from_replica(work: Callable[[], T], *, missing: type[Exception] | None = None) -> T:
    """Return what some work that only reads returns; it may be called twice.

    Args:
        work: its statements, by the ORM and by `django.db.connection`, go to the replica.
        missing: raised where a row is not there: it may have come to the primary just now.
    """
    return _read(work, _check_lag, missing)


def read_up_to(position: str | None, work: Callable[[], T]) -> T:
    """Return what some work returns on a replica that has all that the primary had at a position.

    Args:
        position: of `primary_position`; None: the primary is read.
        work: as of `read_from_replica`.
    """
    if position is None:
        return work()
    return _read(work, lambda replica: _wait(replica, position), None)


def primary_position() -> str | None:
    """Return how far the primary has come, or None where no replica is set or it does not say.

    What has committed before is in a replica that has come so far.
    """
    if settings.REPLICA_DATABASE is None:
        return None
    try:
        return _position(connections[DEFAULT_DB_ALIAS])
    except FAULTS:
        return None


def _read(
    work: Callable[[], T],
    check: Callable[[BaseDatabaseWrapper], None],
    missing: type[Exception] | None,
) -> T:
    primary = connections[DEFAULT_DB_ALIAS]
    # In a transaction the work may be meant to see what that has written.
    if settings.REPLICA_DATABASE is None or primary.in_atomic_block or time.monotonic() < _Pause.until:
        return work()
    replica = _handler()[DEFAULT_DB_ALIAS]
    if primary is replica:
        return work()
    try:
        replica.close_if_unusable_or_obsolete()
        check(replica)
        # Of this thread alone: every statement of the work finds its connection here.
        connections[DEFAULT_DB_ALIAS] = replica
        return work()
    except FAULTS as error:
        _pause(" ".join(str(error).split()))
        replica.close()
    except _BehindError as error:
        _pause(str(error))
    except Exception as error:
        if missing is None or not isinstance(error, missing):
            raise
    finally:
        connections[DEFAULT_DB_ALIAS] = primary
    return work()


def _pause(reason: str) -> None:
    _Pause.until = time.monotonic() + PAUSE_SECONDS
    logger.warning("the primary is read for %g s in place of its replica: %s", PAUSE_SECONDS, reason)


def _check_lag(replica: BaseDatabaseWrapper) -> None:
    """Refuse a replica that is too far behind.

    Raises:
        _BehindError: it is.
    """
    lag = _value(replica, _LAG)
    if lag is None or lag <= MAX_LAG_SECONDS:  # None: it is no standby, or has replayed nothing yet
        return
    # Its last commit is old. So is the primary's, unless it has more.
    _wait(replica, _position(connections[DEFAULT_DB_ALIAS]))


def _wait(replica: BaseDatabaseWrapper, position: str) -> None:
    """Wait until the replica has come to a position.

    Raises:
        _BehindError: it has not in time, or says nothing of positions: it is no standby.
    """
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while not _value(replica, _REACHED, position):
        if time.monotonic() >= deadline:
            raise _BehindError(f"it has not come as far as {position} within {CATCH_UP_SECONDS:g} s")
        time.sleep(POLL_SECONDS)


def _position(primary: BaseDatabaseWrapper) -> str:
    return str(_value(primary, _POSITION))


def _value(database: BaseDatabaseWrapper, query: str, *parameters: str) -> Any:
    with database.cursor() as cursor:
        cursor.execute(query, parameters or None)
        return cursor.fetchone()[0]


@cache
def _handler() -> ConnectionHandler:
    """Return who keeps a connection to the replica per thread, under the alias of the primary."""
    return ConnectionHandler({DEFAULT_DB_ALIAS: settings.REPLICA_DATABASE})
