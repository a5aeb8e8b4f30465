"""From committed rows to totals, by the change alone.

Guarantees: after any sequence of roll-ups the totals equal those of a full recomputation, counts
exactly and sums up to rounding, whatever the order in which rows were committed.

Each row carries the id of its transaction. All ids below a snapshot's xmin have ended, so the rows
between the watermark of the last roll-up and today's xmin are exactly those that it has not seen;
a sequence could not say that, because commits arrive out of order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from experiments.models import Experiment, ExperimentMetric, Metric

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

SERVED = "slate"


@dataclass(frozen=True, slots=True)
class _Span:
    """The transactions of one roll-up: ids in [lower, upper)."""

    lower: int
    upper: int


def roll_up(experiment_id: int, now: datetime) -> Experiment:
    """Bring observations and totals of an experiment up to date; return it, locked until commit.

    Must run inside a transaction. Units whose window has passed by `now` form the next batch.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("roll_up needs a transaction.")
    experiment = Experiment.objects.select_for_update().get(pk=experiment_id)
    span = _Span(lower=experiment.watermark, upper=read_watermark())
    with connection.cursor() as cursor:
        _count_exposures(cursor, experiment, span)
        roles = list(experiment.roles.select_related("metric"))
        _observe_new_units(cursor, experiment, roles, span)
        for role in roles:
            _update_values(cursor, experiment, role.metric, span)
        batch = experiment.batches + 1
        if _close_batch(cursor, experiment, batch, now):
            experiment.batches = batch
    experiment.watermark = span.upper
    experiment.save(update_fields=["watermark", "batches"])
    return experiment


def read_watermark() -> int:
    """Return the transaction id below which every transaction has ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def _count_exposures(cursor: CursorWrapper, experiment: Experiment, span: _Span) -> None:
    """Add new exposures to the counts; each pair of a doubled unit is counted once."""
    cursor.execute(
        """
        INSERT INTO experiments_exposuretotal AS total
            (experiment_id, variant_id, epoch, units, doubled)
        SELECT new.experiment_id, new.variant_id, new.epoch, count(*), count(*) FILTER (
            WHERE EXISTS (
                SELECT 1 FROM experiments_exposure AS other
                WHERE other.experiment_id = new.experiment_id AND other.unit_id = new.unit_id
                    AND other.variant_id <> new.variant_id
                    AND other.xid < %(upper)s::text::xid8
                    AND (other.xid < %(lower)s::text::xid8 OR other.id < new.id)))
        FROM experiments_exposure AS new
        WHERE new.experiment_id = %(experiment)s
            AND new.xid >= %(lower)s::text::xid8 AND new.xid < %(upper)s::text::xid8
        GROUP BY new.experiment_id, new.variant_id, new.epoch
        ON CONFLICT (experiment_id, variant_id, epoch) DO UPDATE SET
            units = total.units + EXCLUDED.units, doubled = total.doubled + EXCLUDED.doubled
        """,
        _parameters(experiment, span),
    )


def _parameters(experiment: Experiment, span: _Span) -> dict[str, Any]:
    return {
        "experiment": experiment.pk,
        "project": experiment.project_id,
        "lower": span.lower,
        "upper": span.upper,
        "window": timedelta(seconds=experiment.parsed_policy.window_seconds),
    }


def _observe_new_units(
    cursor: CursorWrapper, experiment: Experiment, roles: list[ExperimentMetric], span: _Span
) -> None:
    """Open an observation of every metric for each unit, at its first exposure."""
    cursor.execute(
        """
        INSERT INTO experiments_observation
            (experiment_id, metric_id, variant_id, epoch, unit_id, exposed_at, y, d, batch)
        SELECT DISTINCT ON (metric, unit_id)
            experiment_id, metric, variant_id, epoch, unit_id, exposed_at, 0, 1, NULL
        FROM experiments_exposure, unnest(%(metrics)s::bigint[]) AS metric
        WHERE experiment_id = %(experiment)s
            AND xid >= %(lower)s::text::xid8 AND xid < %(upper)s::text::xid8
        ORDER BY metric, unit_id, exposed_at, id
        ON CONFLICT DO NOTHING
        """,
        _parameters(experiment, span) | {"metrics": [role.metric_id for role in roles]},
    )


def _value_sql(metric: Metric) -> str:
    """SQL of one unit's y over the events `e` of its window."""
    if metric.kind == Metric.Kind.PROPORTION:
        return "(count(*) > 0)::int::float8"
    return "count(*)::float8" if metric.value == Metric.Value.COUNT else "coalesce(sum(e.value), 0)"


_IN_WINDOW = """e.project_id = %(project)s AND e.unit_id = o.unit_id
    AND e.xid < %(upper)s::text::xid8"""

_EVENTS = f"""FROM experiments_event AS e
    WHERE {_IN_WINDOW} AND e.source = 'live'
        AND e.occurred_at >= o.exposed_at AND e.occurred_at < o.exposed_at + %(window)s"""

_ATTRIBUTED = """AND EXISTS (SELECT 1 FROM experiments_slate AS s
    WHERE s.recommendation_id = e.recommendation_id AND s.experiment_id = %(experiment)s)"""

_SLATES = f"""SELECT count(*)::float8 FROM experiments_slate AS e
    WHERE {_IN_WINDOW} AND e.experiment_id = %(experiment)s
        AND e.served_at >= o.exposed_at AND e.served_at < o.exposed_at + %(window)s"""


def _denominator_sql(metric: Metric) -> str:
    if metric.kind != Metric.Kind.RATIO:
        return "SELECT 1::float8"
    if metric.denominator_event == SERVED:
        return _SLATES
    return f"SELECT count(*)::float8 {_EVENTS} AND e.name = %(denominator)s"


def _dirty_sql(metric: Metric) -> str:
    """SQL of the units whose value may have changed."""
    slates = """UNION SELECT unit_id FROM experiments_slate WHERE project_id = %(project)s
        AND experiment_id = %(experiment)s
        AND xid >= %(lower)s::text::xid8 AND xid < %(upper)s::text::xid8"""
    return f"""
        SELECT unit_id FROM experiments_exposure WHERE experiment_id = %(experiment)s
            AND xid >= %(lower)s::text::xid8 AND xid < %(upper)s::text::xid8
        UNION
        SELECT unit_id FROM experiments_event WHERE project_id = %(project)s
            AND name = ANY(%(names)s)
            AND xid >= %(lower)s::text::xid8 AND xid < %(upper)s::text::xid8
        {slates if metric.denominator_event == SERVED else ""}
    """


def _update_values(cursor: CursorWrapper, experiment: Experiment, metric: Metric, span: _Span) -> None:
    """Recompute the values of touched units, and correct the totals of those already counted."""
    attributed = _ATTRIBUTED if metric.attributed_only else ""
    cursor.execute(
        f"""
        WITH dirty AS ({_dirty_sql(metric)}),
        fresh AS (
            SELECT o.id, o.variant_id, o.epoch, o.batch, o.y AS old_y, o.d AS old_d,
                ({"SELECT " + _value_sql(metric) + " " + _EVENTS} AND e.name = %(event)s
                    {attributed}) AS y,
                ({_denominator_sql(metric)}) AS d
            FROM dirty JOIN experiments_observation AS o
                ON o.experiment_id = %(experiment)s AND o.metric_id = %(metric)s
                    AND o.unit_id = dirty.unit_id
        ),
        changed AS (
            UPDATE experiments_observation AS o SET y = fresh.y, d = fresh.d FROM fresh
            WHERE o.id = fresh.id AND (fresh.y <> fresh.old_y OR fresh.d <> fresh.old_d)
            RETURNING fresh.*
        ),
        difference AS (
            SELECT variant_id, epoch, batch, count(*) AS units,
                sum((y <> 0)::int - (old_y <> 0)::int) AS nonzero,
                sum(y - old_y) AS y, sum(y * y - old_y * old_y) AS yy,
                sum(d - old_d) AS d, sum(d * d - old_d * old_d) AS dd,
                sum(y * d - old_y * old_d) AS yd
            FROM changed WHERE batch IS NOT NULL GROUP BY variant_id, epoch, batch
        )
        UPDATE experiments_total AS t SET
            nonzero = t.nonzero + difference.nonzero, sum_y = t.sum_y + difference.y,
            sum_yy = t.sum_yy + difference.yy, sum_d = t.sum_d + difference.d,
            sum_dd = t.sum_dd + difference.dd, sum_yd = t.sum_yd + difference.yd,
            corrections = t.corrections + difference.units
        FROM difference
        WHERE t.experiment_id = %(experiment)s AND t.metric_id = %(metric)s
            AND t.variant_id = difference.variant_id AND t.epoch = difference.epoch
            AND t.batch = difference.batch
        """,
        _parameters(experiment, span)
        | {
            "metric": metric.pk,
            "event": metric.event_name,
            "denominator": metric.denominator_event,
            "names": [metric.event_name, metric.denominator_event],
        },
    )


def _close_batch(cursor: CursorWrapper, experiment: Experiment, batch: int, now: datetime) -> bool:
    """Put every unit whose window has passed into a batch; return whether there was any."""
    cursor.execute(
        """
        WITH complete AS (
            UPDATE experiments_observation SET batch = %(batch)s
            WHERE experiment_id = %(experiment)s AND batch IS NULL AND exposed_at <= %(before)s
            RETURNING metric_id, variant_id, epoch, y, d
        )
        INSERT INTO experiments_total (experiment_id, metric_id, variant_id, epoch, batch, n,
            nonzero, sum_y, sum_yy, sum_d, sum_dd, sum_yd, corrections)
        SELECT %(experiment)s, metric_id, variant_id, epoch, %(batch)s, count(*),
            count(*) FILTER (WHERE y <> 0), sum(y), sum(y * y), sum(d), sum(d * d), sum(y * d), 0
        FROM complete GROUP BY metric_id, variant_id, epoch
        """,
        {
            "experiment": experiment.pk,
            "batch": batch,
            "before": now - timedelta(seconds=experiment.parsed_policy.window_seconds),
        },
    )
    return bool(cursor.rowcount > 0)
