"""From committed rows to totals, by the change alone.

Guarantees: after any sequence of roll-ups the totals equal those of a full recomputation, counts
exactly and sums up to rounding, whatever the order in which rows were committed.

Each row carries the id of its transaction. All ids below a snapshot's xmin have ended, so the rows
between the watermark of the last roll-up and today's xmin are exactly those that it has not seen;
a sequence could not say that, because commits arrive out of order.

The way of the data: an exposure opens one observation per metric; an event or a word marks its unit,
whose values are computed anew; when a unit's window has passed it joins a batch and its products are
added to the totals; a later change of its value changes those totals by the difference, and a unit
that turns out to be a bot is taken out of them again.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction

from experiments.bounds import MAX_VALUE
from experiments.looks.roll_up_sql import (
    ADD,
    COUNT_BUCKETS,
    SUMS,
    TOTAL_OF_CHANGE,
    observation_of,
)
from experiments.looks.take_out import take_out_excluded
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import SERVED, MetricSpec, is_feedback
from experiments.metrics.sql import BUCKET, TERMS, compile_metric
from experiments.metrics.watermark import NEW, TransactionRange, range_parameters, read_watermark
from experiments.models import Experiment, ExperimentMetric
from experiments.sql import is_excluded

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper


logger = logging.getLogger(__name__)
MAX_NAMED = 5
MAX_SECONDS = 600  # of one statement; a first roll-up reads all that came before it


def roll_up(experiment_id: int, now: datetime) -> Experiment:
    """Bring observations and totals of an experiment up to date; return it, locked until commit.

    Must run inside a transaction. Units whose window has passed by `now` form the next batch.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("roll_up needs a transaction.")
    experiment = Experiment.objects.select_for_update().get(pk=experiment_id)
    span = TransactionRange(lower=experiment.watermark, upper=read_watermark())
    with connection.cursor() as cursor:
        # These statements are short and many: compiling them would take longer than running them.
        cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{MAX_SECONDS}s'")
        roles = list(experiment.roles.select_related("metric"))
        take_out_excluded(cursor, experiment, roles, span)
        _observe_new_units(cursor, experiment, roles, span)
        _count_exposures(cursor, experiment, roles, span)
        _name_set_aside(cursor, experiment, roles, span)
        batch, closed = experiment.batches + 1, False
        for role in roles:
            spec = spec_of(role, experiment)
            _update_values(cursor, experiment, role, spec, span)
            closed |= _close_batch(cursor, experiment, role, spec, batch=batch, now=now)
        if closed:
            experiment.batches = batch
    experiment.watermark = span.upper
    experiment.save(update_fields=["watermark", "batches"])
    return experiment


def _name_set_aside(
    cursor: CursorWrapper, experiment: Experiment, roles: list[ExperimentMetric], span: TransactionRange
) -> None:
    """Log which new events have values that no metric can sum, so that a person can correct them."""
    names = {name for role in roles for name in spec_of(role, experiment).names}
    cursor.execute(
        f"""SELECT event_id, value FROM experiments_event
        WHERE project_id = %(project)s AND {NEW} AND name = ANY(%(names)s)
            AND NOT abs(value) <= %(bound)s LIMIT {MAX_NAMED}""",
        range_parameters(experiment, span) | {"names": sorted(names), "bound": MAX_VALUE},
    )
    for event_id, value in cursor.fetchall():
        logger.warning(
            "%s: event '%s' is counted without its value: value == %g, must be at most %g either way.",
            experiment, event_id, value, MAX_VALUE,
        )  # fmt: skip


def _count_exposures(
    cursor: CursorWrapper, experiment: Experiment, roles: list[ExperimentMetric], span: TransactionRange
) -> None:
    """Add new exposures to the counts; of a unit in two variants, the later one is doubled."""
    cursor.execute(
        f"""
        WITH seen AS (
            SELECT variant_id, epoch, unit_id, source FROM experiments_exposure
            WHERE experiment_id = %(experiment)s AND {NEW}
        ), judged AS (
            SELECT seen.variant_id, seen.epoch, seen.source = 'public' AS claimed,
                {is_excluded("seen", by_upper=True)} AS excluded,
                coalesce(first.variant_id <> seen.variant_id, false) AS doubled
            FROM seen LEFT JOIN LATERAL ({observation_of("seen.unit_id")}) AS first ON true
        )
        INSERT INTO experiments_exposuretotal AS total
            (experiment_id, variant_id, epoch, segment, units, doubled, excluded, claimed)
        SELECT %(experiment)s, variant_id, epoch, '', count(*) FILTER (WHERE NOT excluded),
            count(*) FILTER (WHERE doubled), count(*) FILTER (WHERE excluded),
            count(*) FILTER (WHERE claimed AND NOT excluded)
        FROM judged GROUP BY variant_id, epoch
        ON CONFLICT (experiment_id, variant_id, epoch, segment) DO UPDATE SET
            units = total.units + EXCLUDED.units, doubled = total.doubled + EXCLUDED.doubled,
            excluded = total.excluded + EXCLUDED.excluded,
            claimed = total.claimed + EXCLUDED.claimed
        """,
        range_parameters(experiment, span) | {"metric": roles[0].metric_id},
    )


# A unit's segments at its exposure: what the product says of it, else the request's context.
_SEGMENTS = """
    coalesce((
        SELECT array_agg(name || '=' || left(value, 60))
        FROM unnest(%(attributes)s::text[]) AS name,
            coalesce(said.attributes ->> name, slate.context ->> name) AS value
        WHERE value IS NOT NULL), '{}')"""
_UNIT = """
    LEFT JOIN LATERAL (SELECT attributes FROM experiments_unit AS one
        WHERE one.project_id = first.project_id AND one.unit_id = first.unit_id LIMIT 1) AS said
        ON true
    LEFT JOIN LATERAL (SELECT context FROM experiments_slate AS s
        WHERE s.project_id = first.project_id AND s.unit_id = first.unit_id
            AND s.served_at = first.exposed_at LIMIT 1) AS slate ON true"""


def _observe_new_units(
    cursor: CursorWrapper, experiment: Experiment, roles: list[ExperimentMetric], span: TransactionRange
) -> None:
    """Open an observation of every metric for each unit, at its first exposure."""
    broken_down = bool(experiment.segments)
    cursor.execute(
        f"""
        WITH first AS (
            SELECT DISTINCT ON (unit_id) project_id, variant_id, epoch, unit_id, exposed_at
            FROM experiments_exposure AS seen WHERE experiment_id = %(experiment)s AND {NEW}
                AND NOT {is_excluded("seen", by_upper=True)}
            ORDER BY unit_id, exposed_at, id
        ),
        new AS (
            INSERT INTO experiments_observation (experiment_id, metric_id, variant_id, epoch,
                unit_id, exposed_at, y, d, x, w, u, segments, batch)
            SELECT %(experiment)s, metric, first.variant_id, first.epoch, first.unit_id,
                first.exposed_at, 0, 1, 0, 1, 0, {_SEGMENTS if broken_down else "'{}'"}, NULL
            FROM first {_UNIT if broken_down else ""}
            CROSS JOIN unnest(%(metrics)s::bigint[]) AS metric
            ON CONFLICT DO NOTHING
            RETURNING metric_id, variant_id, epoch, segments
        )
        INSERT INTO experiments_exposuretotal AS total
            (experiment_id, variant_id, epoch, segment, units, doubled, excluded)
        SELECT %(experiment)s, variant_id, epoch, segment, count(*), 0, 0
        FROM new CROSS JOIN unnest(segments) AS segment
        WHERE metric_id = (%(metrics)s::bigint[])[1]
        GROUP BY variant_id, epoch, segment
        ON CONFLICT (experiment_id, variant_id, epoch, segment) DO UPDATE SET
            units = total.units + EXCLUDED.units
        """,
        range_parameters(experiment, span)
        | {
            "metrics": [role.metric_id for role in roles],
            "attributes": list(experiment.segments),
        },
    )


def _dirty_sql(spec: MetricSpec) -> str:
    """SQL of the units whose value may have changed."""
    slates = f"""UNION SELECT unit_id FROM experiments_slate WHERE project_id = %(project)s
        AND experiment_id = %(experiment)s AND {NEW}"""
    said = f"""UNION SELECT unit_id FROM experiments_feedback WHERE project_id = %(project)s
        AND {NEW}"""
    return f"""
        SELECT unit_id FROM experiments_exposure WHERE experiment_id = %(experiment)s AND {NEW}
        UNION
        SELECT unit_id FROM experiments_event WHERE project_id = %(project)s
            AND name = ANY(%(names)s) AND {NEW}
        {slates if spec.denominator == SERVED else ""}
        {said if any(is_feedback(name) for name in spec.names) else ""}
    """


def _changes() -> str:
    """SQL of the change of every total: the product of a unit's new columns less that of the old."""
    old = {name: re.sub(r"\b([ydxwu])\b", r"old_\1", product) for name, product in TERMS.items()}
    return ", ".join(f"sum({product} - {old[name]}) AS {name}" for name, product in TERMS.items())


def _update_values(
    cursor: CursorWrapper,
    experiment: Experiment,
    role: ExperimentMetric,
    spec: MetricSpec,
    span: TransactionRange,
) -> None:
    """Recompute the values of touched units, and correct the totals of those already counted."""
    metric = compile_metric(spec)
    corrections = _CORRECT_SKETCH if spec.kind == "quantile" else ""
    cursor.execute(
        f"""
        WITH dirty AS ({_dirty_sql(spec)}),
        fresh AS MATERIALIZED (
            SELECT o.id, o.variant_id, o.epoch, o.batch, o.segments, o.y AS old_y, o.d AS old_d,
                o.x AS old_x, o.w AS old_w, o.u AS old_u,
                {metric.u} AS u, {metric.d} AS d, {metric.x} AS x, {metric.w} AS w
            FROM dirty CROSS JOIN LATERAL ({observation_of("dirty.unit_id")}) AS o
        ),
        changed AS (
            UPDATE experiments_observation AS o
            SET y = new.y, d = new.d, x = new.x, w = new.w, u = new.u
            FROM (SELECT *, {metric.y} AS y FROM fresh) AS new
            WHERE o.id = new.id
                AND (new.u, new.d, new.x, new.w) <> (new.old_u, new.old_d, new.old_x, new.old_w)
            RETURNING new.*
        ),
        change AS (
            SELECT variant_id, epoch, CASE WHEN segment = '' THEN batch ELSE 0 END AS batch, segment,
                count(*) AS units, {_changes()}
            FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
            WHERE batch IS NOT NULL GROUP BY 1, 2, 3, 4
        )
        {corrections}
        UPDATE experiments_total AS t SET {ADD}, corrections = t.corrections + change.units
        FROM {TOTAL_OF_CHANGE}
        """,
        dict(metric.parameters) | range_parameters(experiment, span) | {"metric": role.metric_id},
    )


_CORRECT_SKETCH = f""", moved AS (
        SELECT variant_id, epoch, segment, {BUCKET} AS bucket, 1 AS units
        FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        WHERE batch IS NOT NULL
        UNION ALL
        SELECT variant_id, epoch, segment, {BUCKET.replace("(y)", "(old_y)")}, -1
        FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        WHERE batch IS NOT NULL
    ), sketch AS ({COUNT_BUCKETS})"""


def _close_batch(
    cursor: CursorWrapper,
    experiment: Experiment,
    role: ExperimentMetric,
    spec: MetricSpec,
    *,
    batch: int,
    now: datetime,
) -> bool:
    """Put every unit whose window has passed into a batch; return whether there was any."""
    sketch = f""", moved AS (
            SELECT variant_id, epoch, segment, {BUCKET} AS bucket, 1 AS units
            FROM complete CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        ), sketch AS ({COUNT_BUCKETS})"""
    cursor.execute(
        f"""
        WITH complete AS (
            UPDATE experiments_observation SET batch = %(batch)s
            WHERE experiment_id = %(experiment)s AND metric_id = %(metric)s AND batch IS NULL
                AND exposed_at <= %(before)s
            RETURNING variant_id, epoch, segments, y, d, x, w, u
        )
        {sketch if spec.kind == "quantile" else ""}
        INSERT INTO experiments_total AS t (experiment_id, metric_id, variant_id, epoch, batch,
            segment, n, {SUMS}, corrections)
        SELECT %(experiment)s, %(metric)s, variant_id, epoch,
            CASE WHEN segment = '' THEN %(batch)s ELSE 0 END, segment, count(*),
            {", ".join(f"sum({product})" for product in TERMS.values())}, 0
        FROM complete CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        GROUP BY variant_id, epoch, segment
        ON CONFLICT (experiment_id, metric_id, variant_id, epoch, batch, segment) DO UPDATE SET
            n = t.n + EXCLUDED.n, {ADD.replace("change.", "EXCLUDED.")}
        """,
        {
            "experiment": experiment.pk,
            "metric": role.metric_id,
            "batch": batch,
            "before": now - timedelta(seconds=spec.complete_after_seconds),
        },
    )
    return bool(cursor.rowcount > 0)
