"""Keep transaction ids going up when the database moves to another cluster.

Rows and watermarks bear the ids of the transactions that wrote them, and a dump keeps these numbers;
the cluster that it is restored into counts on from its own. Without a correction what comes in there
is below the watermark, and never counted, or what was counted is above a new one, and counted twice.

The correction is one number, an offset that new ids get: it makes them larger than every id that was
restored. So no row is counted anew, and what was committed but not yet counted at the dump still is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction

from experiments.models import TransactionClock

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

TABLES = (
    "experiments_slate",
    "experiments_exposure",
    "experiments_event",
    "experiments_feedback",
    "experiments_excludedunit",
)
# Every cluster has a number of its own; a standby that is promoted keeps it, and its ids go on.
_MAY_READ = "SELECT has_function_privilege('pg_control_system()', 'execute')"
_CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
# Ids that rows already bear, but for those that this cluster gave (`_NATIVE`).
_MAX_XID = " UNION ALL ".join(
    f"""SELECT max(xid::text::bigint) FROM {table} WHERE NOT (xmin::text = ANY(%(native)s)
        AND (xid::text::bigint - %(offset)s) %% 4294967296 = xmin::text::bigint)"""
    for table in TABLES
)
# Transactions of this cluster that wrote rows before the move was noticed: their rows bear the
# transaction's own number. A restored row bears another than the transaction that restored it, unless
# by chance; half of the rows are asked for, since a transaction may also have changed restored ones.
_NATIVE = " UNION ".join(
    f"""SELECT xmin::text::bigint FROM {table} GROUP BY xmin::text
    HAVING 2 * count(*) FILTER (
        WHERE (xid::text::bigint - %(offset)s) %% 4294967296 = xmin::text::bigint) >= count(*)"""
    for table in TABLES
)


@dataclass(frozen=True, slots=True)
class ClockState:
    """How this database counts transactions.

    Attributes:
        moved: whether it lives in another cluster than it did, or that one has begun anew.
        offset: what is added to the cluster's ids.
    """

    moved: bool
    offset: int


def read_clock() -> ClockState:
    """Return the offset, and whether it is out of date."""
    with connection.cursor() as cursor:
        cluster = _read_cluster(cursor)
        cursor.execute(
            """SELECT cluster, "offset",
                pg_snapshot_xmax(pg_current_snapshot())::text::bigint + "offset" < greatest(0,
                    (SELECT max(watermark) FROM experiments_experiment WHERE state = 'running'),
                    (SELECT max(greatest(watermark, running_upper)) FROM inference_policycount))
            FROM experiments_transactionclock"""
        )
        known, offset, behind = cursor.fetchone()
    return ClockState(moved=(bool(cluster) and known != cluster) or behind, offset=int(offset))


def _read_cluster(cursor: CursorWrapper) -> str:
    """Return the cluster's number, or nothing where it is kept from us."""
    cursor.execute(_MAY_READ)
    if not cursor.fetchone()[0]:
        return ""
    cursor.execute(_CLUSTER)
    return str(cursor.fetchone()[0])


def continue_clock() -> None:
    """Give new rows ids above every restored one; nothing when the database has not moved.

    It reads every row once, and holds writers up meanwhile: they spill.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        clock = TransactionClock.objects.select_for_update().get()  # one at a time
        state = read_clock()
        if not state.moved:
            return
        cursor.execute("SET LOCAL statement_timeout = 0")  # half done it would be done again
        # Writers wait, so that no row gets an id by the old offset after we have looked.
        cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE")
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        current = int(cursor.fetchone()[0])
        cursor.execute(_NATIVE, {"offset": state.offset})
        native = [int(row[0]) for row in cursor.fetchall()]
        offset = max(_read_max_xid(cursor, native, state.offset) + 1 - min([current, *native]), 0)
        for table in TABLES:
            cursor.execute(
                f"""UPDATE {table} SET xid = (xid::text::bigint - %s + %s)::text::xid8
                WHERE xmin::text = ANY(%s)
                    AND (xid::text::bigint - %s) %% 4294967296 = xmin::text::bigint""",
                [state.offset, offset, [str(one) for one in native], state.offset],
            )
            # A constant in the default costs nothing for each row; partitions get it too.
            cursor.execute(
                f"""ALTER TABLE {table} ALTER COLUMN xid
                SET DEFAULT ((pg_current_xact_id()::text::bigint + {offset:d})::text::xid8)"""
            )
        clock.cluster, clock.offset = _read_cluster(cursor), offset
        clock.save()


def _read_max_xid(cursor: CursorWrapper, native: list[int], offset: int) -> int:
    """Return the largest id that came with the restored rows, or was counted up to."""
    cursor.execute(
        f"""SELECT coalesce(max(one), 0) FROM ({_MAX_XID} UNION ALL
            SELECT max(watermark) FROM experiments_experiment UNION ALL
            SELECT max(greatest(watermark, running_upper)) FROM inference_policycount) AS ids(one)""",
        {"native": [str(one) for one in native], "offset": offset},
    )
    return int(cursor.fetchone()[0])
