"""From committed rows to totals, by the change alone.

Guarantees: after any sequence of roll-ups the totals equal those of a full recomputation, counts
exactly and sums up to rounding, whatever the order in which rows were committed.

Each row carries the id of its transaction. All ids below a snapshot's xmin have ended, so the rows
between the watermark of the last roll-up and today's xmin are exactly those that it has not seen;
a sequence could not say that, because commits arrive out of order.

The way of the data: an exposure opens one observation per metric; an event or a word marks its unit,
whose values are computed anew; when a unit's window has passed it joins a batch and its products are
added to the totals; a later change of its value changes those totals by the difference, and a unit
that turns out to be a bot is taken out of them again. A switchback has sums of blocks of time instead
(`block_sums`).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction

from experiments.bounds import MAX_VALUE
from experiments.looks.block_sums import sum_blocks
from experiments.looks.breaker_counts import place_bets, watched_metrics
from experiments.looks.roll_up_sql import (
    COUNT_BUCKETS,
    SUMS,
    TOTAL_OF_CHANGE,
    add_sums,
    observation_of,
)
from experiments.looks.take_out import take_out_excluded
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import MetricSpec, is_feedback
from experiments.metrics.sql import bucket_of, compile_metric
from experiments.metrics.watermark import TransactionRange, range_parameters, read_watermark
from experiments.models import Experiment, ExperimentMetric
from experiments.sql import TOTALED, is_excluded, is_new, observed, products
from inference.models import Surface

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper


logger = logging.getLogger(__name__)
MAX_NAMED = 5
MAX_SECONDS = 600  # of one statement; a first roll-up reads all that came before it


def roll_up(experiment_id: int, now: datetime, *, close: bool = True) -> Experiment:
    """Bring observations and totals of an experiment up to date; return it, locked until commit.

    Must run inside a transaction. Units whose window has passed by `now` form the next batch, unless
    `close` is false: the breaker reads windows that are still open, and batches are the looks'.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("roll_up needs a transaction.")
    experiment = Experiment.objects.select_for_update(no_key=True).get(pk=experiment_id)
    span = TransactionRange(lower=experiment.watermark, upper=read_watermark())
    with connection.cursor() as cursor:
        # These statements are short and many: compiling them would take longer than running them.
        cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{MAX_SECONDS}s'")
        metrics = list(experiment.metrics.select_related("metric"))
        switched = experiment.mode == experiment.Mode.SWITCHBACK
        take_out_excluded(cursor, experiment, metrics, span)
        if not switched:
            _observe_new_units(cursor, experiment, metrics, span)
            _name_late_clusters(cursor, experiment, span)
        _count_exposures(cursor, experiment, metrics, span)
        _name_set_aside(cursor, experiment, metrics, span)
        batch, closed = experiment.batches + 1, False
        if switched:  # a user's one observation would be of the first block alone
            sum_blocks(cursor, experiment, metrics, span, now)
        for metric in () if switched else metrics:
            spec = spec_of(metric, experiment)
            _update_values(cursor, experiment, metric, spec, span)
            if metric.metric_id in watched_metrics(experiment, metrics):
                place_bets(cursor, experiment, metric)
            if close:
                closed |= _close_batch(cursor, experiment, metric, spec, batch=batch, now=now)
        if closed:
            experiment.batches = batch
    experiment.watermark = span.upper
    experiment.save(update_fields=["watermark", "batches"])
    return experiment


def _name_set_aside(
    cursor: CursorWrapper,
    experiment: Experiment,
    metrics: list[ExperimentMetric],
    span: TransactionRange,
) -> None:
    """Log which new events have values that no metric can sum, so that a person can correct them."""
    names = {name for metric in metrics for name in spec_of(metric, experiment).names}
    cursor.execute(
        f"""SELECT event_id, value FROM experiments_event
        WHERE project_id = %(project)s AND {is_new()} AND name = ANY(%(names)s)
            AND NOT abs(value) <= %(bound)s LIMIT {MAX_NAMED}""",
        range_parameters(experiment, span) | {"names": sorted(names), "bound": MAX_VALUE},
    )
    for event_id, value in cursor.fetchall():
        logger.warning(
            "%s: event '%s' is counted without its value: value == %g, must be at most %g either way.",
            experiment, event_id, value, MAX_VALUE,
        )  # fmt: skip


def _count_exposures(
    cursor: CursorWrapper,
    experiment: Experiment,
    metrics: list[ExperimentMetric],
    span: TransactionRange,
) -> None:
    """Add new exposures to the counts; of a unit in two variants, the later one is a crossover."""
    # An earlier roll-up may have counted the variant in this epoch: its counts are added to.
    cursor.execute(
        f"""
        WITH seen AS (
            SELECT variant_id, epoch, unit_id, source FROM experiments_exposure
            WHERE experiment_id = %(experiment)s AND {is_new()}
        ), judged AS (
            SELECT seen.variant_id, seen.epoch, seen.source = 'public' AS claimed,
                {is_excluded("seen", by_upper=True)} AS excluded,
                coalesce(first.variant_id <> seen.variant_id, false) AS is_crossover
            FROM seen LEFT JOIN LATERAL ({observation_of("seen.unit_id")}) AS first ON true
        )
        INSERT INTO experiments_exposuretotal AS total
            (experiment_id, variant_id, epoch, segment, units, crossover_units, excluded, claimed)
        SELECT %(experiment)s, variant_id, epoch, '', count(*) FILTER (WHERE NOT excluded),
            count(*) FILTER (WHERE is_crossover), count(*) FILTER (WHERE excluded),
            count(*) FILTER (WHERE claimed AND NOT excluded)
        FROM judged GROUP BY variant_id, epoch
        ON CONFLICT (experiment_id, variant_id, epoch, segment) DO UPDATE SET
            units = total.units + EXCLUDED.units,
            crossover_units = total.crossover_units + EXCLUDED.crossover_units,
            excluded = total.excluded + EXCLUDED.excluded,
            claimed = total.claimed + EXCLUDED.claimed
        """,
        range_parameters(experiment, span) | {"metric": metrics[0].metric_id},
    )


# A unit's segments at its exposure: what the product says of it, else the request's context.
_SEGMENTS = """
    coalesce((
        SELECT array_agg(name || '=' || left(value, 60))
        FROM unnest(%(attributes)s::text[]) AS name,
            coalesce(unit.attributes ->> name, slate.context ->> name) AS value
        WHERE value IS NOT NULL), '{}')"""
_UNIT = """
    LEFT JOIN LATERAL (SELECT attributes FROM experiments_unit AS one
        WHERE one.project_id = first.project_id AND one.unit_id = first.unit_id LIMIT 1) AS unit
        ON true
    LEFT JOIN LATERAL (SELECT context FROM experiments_slate AS s
        WHERE s.project_id = first.project_id AND s.unit_id = first.unit_id
            AND s.served_at = first.exposed_at LIMIT 1) AS slate ON true"""


def _cluster_of(experiment: Experiment) -> str:
    """SQL of a unit's cluster: that of the answer of its first exposure."""
    # A generated answer is stored minutes after its exposure: until then none stands for it, or one of
    # an earlier request, which was forced or exposed nobody, would name the cluster for ever.
    generates = experiment.surface.kind == Surface.Kind.GENERATE
    return f"""
    coalesce((SELECT s.context ->> %(cluster_by)s FROM experiments_slate AS s
        WHERE s.project_id = %(project)s AND s.unit_id = first.unit_id
            AND s.served_at {"=" if generates else "<="} first.exposed_at
            AND s.experiment_id = %(experiment)s AND s.variant_id = first.variant_id
        ORDER BY s.served_at DESC LIMIT 1), '')"""


def _name_late_clusters(cursor: CursorWrapper, experiment: Experiment, span: TransactionRange) -> None:
    """Name the clusters of units whose answer was stored after their exposure.

    So it is where a text is generated: the exposure is committed before the answer begins, and the
    request's context with the answer, minutes later. Nothing where clusters are not randomised.
    """
    if experiment.mode != experiment.Mode.CLUSTER:
        return
    cursor.execute(
        f"""UPDATE experiments_observation AS first SET cluster = {_cluster_of(experiment)}
        WHERE first.experiment_id = %(experiment)s AND first.cluster = ''
            AND first.unit_id IN (SELECT slate.unit_id FROM experiments_slate AS slate
                WHERE slate.experiment_id = %(experiment)s AND {is_new("slate")})""",
        range_parameters(experiment, span) | {"cluster_by": experiment.parsed_policy.cluster_by},
    )


def _observe_new_units(
    cursor: CursorWrapper,
    experiment: Experiment,
    metrics: list[ExperimentMetric],
    span: TransactionRange,
) -> None:
    """Open an observation of every metric for each unit, at its first exposure."""
    broken_down, cluster_by = bool(experiment.segments), experiment.parsed_policy.cluster_by
    cluster = _cluster_of(experiment) if experiment.mode == experiment.Mode.CLUSTER else "''"
    # First exposures by time, of one time by id, so that no plan decides which comes first. A unit that
    # was observed before keeps its variant: DO NOTHING. Its segments count once, not once per metric.
    cursor.execute(
        f"""
        WITH first AS (
            SELECT DISTINCT ON (unit_id) project_id, variant_id, epoch, unit_id, exposed_at
            FROM experiments_exposure AS seen WHERE experiment_id = %(experiment)s AND {is_new()}
                AND NOT {is_excluded("seen", by_upper=True)}
            ORDER BY unit_id, exposed_at, id
        ),
        new AS (
            INSERT INTO experiments_observation (experiment_id, metric_id, variant_id, epoch,
                unit_id, exposed_at, {", ".join(observed().values())}, segments, batch, bet,
                cluster)
            SELECT %(experiment)s, metric, first.variant_id, first.epoch, first.unit_id,
                first.exposed_at, 0, 1, 0, 1, 0, {_SEGMENTS if broken_down else "'{}'"}, NULL,
                NOT metric = ANY(%(watched)s::bigint[]), {cluster}
            FROM first {_UNIT if broken_down else ""}
            CROSS JOIN unnest(%(metrics)s::bigint[]) AS metric
            ON CONFLICT DO NOTHING
            RETURNING metric_id, variant_id, epoch, segments
        )
        INSERT INTO experiments_exposuretotal AS total
            (experiment_id, variant_id, epoch, segment, units, crossover_units, excluded)
        SELECT %(experiment)s, variant_id, epoch, segment, count(*), 0, 0
        FROM new CROSS JOIN unnest(segments) AS segment
        WHERE metric_id = (%(metrics)s::bigint[])[1]
        GROUP BY variant_id, epoch, segment
        ON CONFLICT (experiment_id, variant_id, epoch, segment) DO UPDATE SET
            units = total.units + EXCLUDED.units
        """,
        range_parameters(experiment, span)
        | {
            "metrics": [metric.metric_id for metric in metrics],
            "watched": sorted(watched_metrics(experiment, metrics)),
            "attributes": list(experiment.segments),
            "cluster_by": cluster_by,
        },
    )


def _dirty_sql(spec: MetricSpec) -> str:
    """SQL of the units whose value may have changed."""
    slates = f"""UNION SELECT unit_id FROM experiments_slate WHERE project_id = %(project)s
        AND experiment_id = %(experiment)s AND {is_new()}"""
    feedback = f"""UNION SELECT unit_id FROM experiments_feedback WHERE project_id = %(project)s
        AND {is_new()}"""
    return f"""
        SELECT unit_id FROM experiments_exposure WHERE experiment_id = %(experiment)s AND {is_new()}
        UNION
        SELECT unit_id FROM experiments_event WHERE project_id = %(project)s
            AND name = ANY(%(names)s) AND {is_new()}
        {slates if spec.reads_slates else ""}
        {feedback if any(is_feedback(name) for name in spec.names) else ""}
    """


def _changes() -> str:
    """SQL of the change of every total: the product of a unit's new columns less that of the old."""
    new, old = products(of=observed()), products(of=observed("old_"))
    return ", ".join(f"sum({new[name]} - {old[name]}) AS {column}" for name, column in TOTALED.items())


def _update_values(
    cursor: CursorWrapper,
    experiment: Experiment,
    metric: ExperimentMetric,
    spec: MetricSpec,
    span: TransactionRange,
) -> None:
    """Recompute the values of touched units, and correct the totals of those already counted."""
    # MATERIALIZED: inlined, `fresh` would compute each value once per column that uses it.
    compiled = compile_metric(spec)
    corrections = _CORRECT_SKETCH if spec.kind == "quantile" else ""
    cursor.execute(
        f"""
        WITH dirty AS ({_dirty_sql(spec)}),
        fresh AS MATERIALIZED (
            SELECT o.id, o.variant_id, o.epoch, o.batch, o.segments, o.value AS old_value,
                o.denominator AS old_denominator, o.covariate AS old_covariate,
                o.denominator_covariate AS old_denominator_covariate,
                o.uncapped_value AS old_uncapped_value,
                {compiled.uncapped_value} AS uncapped_value, {compiled.denominator} AS denominator,
                {compiled.covariate} AS covariate,
                {compiled.denominator_covariate} AS denominator_covariate
            FROM dirty CROSS JOIN LATERAL ({observation_of("dirty.unit_id")}) AS o
        ),
        changed AS (
            UPDATE experiments_observation AS o
            SET value = new.value, denominator = new.denominator, covariate = new.covariate,
                denominator_covariate = new.denominator_covariate,
                uncapped_value = new.uncapped_value
            FROM (SELECT *, {compiled.value} AS value FROM fresh) AS new
            WHERE o.id = new.id AND
                (new.uncapped_value, new.denominator, new.covariate, new.denominator_covariate) <>
                (new.old_uncapped_value, new.old_denominator, new.old_covariate,
                    new.old_denominator_covariate)
            RETURNING new.*
        ),
        change AS (
            SELECT variant_id, epoch, CASE WHEN segment = '' THEN batch ELSE 0 END AS batch, segment,
                count(*) AS units, {_changes()}
            FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
            WHERE batch IS NOT NULL GROUP BY 1, 2, 3, 4
        )
        {corrections}
        UPDATE experiments_total AS t SET {add_sums("change")},
            corrections = t.corrections + change.units
        FROM {TOTAL_OF_CHANGE}
        """,
        dict(compiled.parameters) | range_parameters(experiment, span) | {"metric": metric.metric_id},
    )


_CORRECT_SKETCH = f""", moved AS (
        SELECT variant_id, epoch, segment, {bucket_of("value")} AS bucket, 1 AS units
        FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        WHERE batch IS NOT NULL
        UNION ALL
        SELECT variant_id, epoch, segment, {bucket_of("old_value")}, -1
        FROM changed CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        WHERE batch IS NOT NULL
    ), sketch AS ({COUNT_BUCKETS})"""


def _close_batch(
    cursor: CursorWrapper,
    experiment: Experiment,
    metric: ExperimentMetric,
    spec: MetricSpec,
    *,
    batch: int,
    now: datetime,
) -> bool:
    """Put every unit whose window has passed into a batch; return whether there was any."""
    # Segments keep no batches: theirs is 0, and later batches add to it.
    sketch = f""", moved AS (
            SELECT variant_id, epoch, segment, {bucket_of("value")} AS bucket, 1 AS units
            FROM complete CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        ), sketch AS ({COUNT_BUCKETS})"""
    cursor.execute(
        f"""
        WITH complete AS (
            UPDATE experiments_observation SET batch = %(batch)s
            WHERE experiment_id = %(experiment)s AND metric_id = %(metric)s AND batch IS NULL
                AND exposed_at <= %(before)s
            RETURNING variant_id, epoch, segments, {", ".join(observed().values())}
        )
        {sketch if spec.kind == "quantile" else ""}
        INSERT INTO experiments_total AS t (experiment_id, metric_id, variant_id, epoch, batch,
            segment, n, {SUMS}, corrections)
        SELECT %(experiment)s, %(metric)s, variant_id, epoch,
            CASE WHEN segment = '' THEN %(batch)s ELSE 0 END, segment, count(*),
            {", ".join(f"sum({product})" for product in products(of=observed()).values())}, 0
        FROM complete CROSS JOIN unnest('{{""}}'::text[] || segments) AS segment
        GROUP BY variant_id, epoch, segment
        ON CONFLICT (experiment_id, metric_id, variant_id, epoch, batch, segment) DO UPDATE SET
            n = t.n + EXCLUDED.n, {add_sums("EXCLUDED")}
        """,
        {
            "experiment": experiment.pk,
            "metric": metric.metric_id,
            "batch": batch,
            "before": now - timedelta(seconds=spec.complete_after_seconds),
        },
    )
    return bool(cursor.rowcount > 0)
