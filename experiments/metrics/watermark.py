"""Which rows a roll-up has not seen: those of the transactions since the last one (decision 0003)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.metrics.transaction_clock import continue_clock, read_clock

if TYPE_CHECKING:
    from experiments.models import Experiment


@dataclass(frozen=True, slots=True)
class TransactionRange:
    """The transactions of one roll-up: ids in [lower, upper)."""

    lower: int
    upper: int


def read_watermark() -> int:
    """Return the id below which every transaction has ended.

    In a database that was restored into another cluster, ids are made to go on first.
    """
    if read_clock().moved:
        continue_clock()
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + "offset"
            FROM experiments_transactionclock"""
        )
        return int(cursor.fetchone()[0])


def range_parameters(experiment: Experiment, span: TransactionRange) -> dict[str, Any]:
    """Return what a statement over a span names: experiment, project, lower and upper."""
    return {
        "experiment": experiment.pk,
        "project": experiment.project_id,
        "lower": span.lower,
        "upper": span.upper,
    }
