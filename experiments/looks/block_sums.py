"""Sums of a switchback's blocks of time, in the place of observations: a user meets many blocks.

A block is summed once it is over, and anew when a row of it comes later. A user has a value in each
block with an answer after the carry-over: what the metric counts from the first such answer on, until
the metric's window closes or the block ends. What falls in the carry-over counts for nobody. A
covariate would be what an earlier block did, so there is none.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, Any

from experiments.assignment.allocation import block_of
from experiments.metrics.freeze import spec_of
from experiments.metrics.spec import is_feedback
from experiments.metrics.sql import compile_metric
from experiments.metrics.watermark import TransactionRange, range_parameters
from experiments.models import BlockSum
from experiments.sql import is_before, is_excluded, is_new, min_uuid7

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Experiment, ExperimentMetric

_SECONDS = "extract(epoch FROM {at})::float8"
_NUMBER = f"floor({_SECONDS} / %(length)s)::bigint"
_SERVED_NUMBER = _NUMBER.format(at="slate.served_at")
# Ids begin with the time: that of an answer is made about when it is served. Before a block the
# carry-over is margin enough, behind it an hour.
AROUND = timedelta(hours=1)
_USERS = f"""SELECT {_SERVED_NUMBER} AS number, slate.unit_id, min(slate.served_at) AS exposed_at,
        to_timestamp(({_SERVED_NUMBER} + 1) * %(length)s) AS closes_at,
        min(slate.variant_id) AS variant_id, max(slate.variant_id) AS other_variant_id
    FROM experiments_slate AS slate
    WHERE slate.surface_id = %(surface)s AND slate.recommendation_id >= %(since)s
        AND slate.recommendation_id < %(until)s AND slate.experiment_id = %(experiment)s
        AND slate.variant_id IS NOT NULL AND NOT slate.forced
        AND {_SERVED_NUMBER} = ANY(%(numbers)s::bigint[])
        AND {_SECONDS.format(at="slate.served_at")} - {_SERVED_NUMBER} * %(length)s >= %(carry_over)s
        AND {is_before("slate", "upper")} AND NOT {is_excluded("slate", by_upper=True)}
    GROUP BY number, slate.unit_id"""
_WORDS_AGAIN = f"""UNION ALL SELECT before.received_at FROM experiments_feedback AS said
        JOIN experiments_feedback AS before
            USING (project_id, unit_id, recommendation_id, item_id, kind)
        WHERE said.project_id = %(project)s AND {is_new("said")}"""


def sum_blocks(
    cursor: CursorWrapper,
    experiment: Experiment,
    metrics: list[ExperimentMetric],
    span: TransactionRange,
    now: datetime,
) -> None:
    """Sum the blocks that are over by `now` and new, or of which the roll-up sees new rows.

    Args:
        cursor: of the roll-up's transaction.
        experiment: a switchback, locked.
        metrics: its metrics.
        span: the transactions that the last roll-up has not seen.
        now: which blocks are over.
    """
    specs = [_of_block(spec_of(metric, experiment)) for metric in metrics]
    numbers = _due(cursor, experiment, specs, span, now)
    BlockSum.objects.filter(experiment=experiment, number__in=numbers).delete()
    for run in _runs(numbers):
        parameters = range_parameters(experiment, span) | _stretch(experiment, run)
        for metric, spec in zip(metrics, specs, strict=True):
            _sum_metric(cursor, metric, spec, parameters)


def _runs(numbers: list[int]) -> list[list[int]]:
    """Return numbers in runs without a gap: a late row of an old block must not read all since."""
    # What follows without a gap keeps its distance to its place.
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    return [[number for _, number in run] for _, run in runs]


def _stretch(experiment: Experiment, run: list[int]) -> dict[str, Any]:
    policy = experiment.parsed_policy
    start, end = (
        datetime.fromtimestamp(number * policy.block_seconds, UTC) for number in (run[0], run[-1] + 1)
    )
    return {
        "surface": experiment.surface_id,
        "since": min_uuid7(start),
        "until": min_uuid7(end + AROUND),
        "numbers": run,
        "length": policy.block_seconds,
        "carry_over": policy.carry_over_seconds,
    }


def _of_block(spec: MetricSpec) -> MetricSpec:
    return replace(spec, lookback_seconds=None, covariate="history", prediction=None)


def users_sql(spec: MetricSpec) -> str:
    """SQL of the users of the blocks `numbers`, each with its numbers of a metric.

    Args:
        spec: without a covariate.
    """
    compiled = compile_metric(spec, closes="o.closes_at")
    return f"""WITH o AS MATERIALIZED ({_USERS}),
        valued AS MATERIALIZED (SELECT o.*, {compiled.uncapped_value} AS uncapped_value,
            {compiled.denominator} AS denominator FROM o)
        SELECT *, {compiled.value} AS value FROM valued"""


def _sum_metric(
    cursor: CursorWrapper, metric: ExperimentMetric, spec: MetricSpec, parameters: dict[str, Any]
) -> None:
    # Summed in one order, since a sum of floats depends on it. A block of which one answer was of
    # another variant (a server's clock, a person's change) was not switched as a whole.
    cursor.execute(
        f"""INSERT INTO experiments_blocksum
            (experiment_id, metric_id, variant_id, number, users, value, denominator, uncapped_value)
        SELECT %(experiment)s, %(metric)s,
            CASE WHEN min(variant_id) = max(other_variant_id) THEN min(variant_id) END, number,
            count(*), sum(value ORDER BY unit_id), sum(denominator ORDER BY unit_id),
            sum(uncapped_value ORDER BY unit_id)
        FROM ({users_sql(spec)}) AS one GROUP BY number""",
        dict(compile_metric(spec).parameters) | parameters | {"metric": metric.metric_id},
    )


def _due(
    cursor: CursorWrapper,
    experiment: Experiment,
    specs: list[MetricSpec],
    span: TransactionRange,
    now: datetime,
) -> list[int]:
    """Return the numbers of the blocks to sum, of those that began after the start and are over."""
    length = experiment.parsed_policy.block_seconds
    started = experiment.started_at or now
    # The block of the start has no carry-over that was left out: it began with the champion.
    first, open_block = ceil(started.timestamp() / length), block_of(now.timestamp(), length)
    summed = BlockSum.objects.filter(experiment=experiment).order_by("-number").values("number")[:1]
    last = summed[0]["number"] if summed else first - 1
    touched = _touched(cursor, experiment, specs, span)
    return sorted({*range(last + 1, open_block), *touched} & {*range(first, open_block)})


def _touched(
    cursor: CursorWrapper, experiment: Experiment, specs: list[MetricSpec], span: TransactionRange
) -> set[int]:
    """Return the blocks of which rows are new: answers, events, words, or users left out since."""
    names = sorted({name for spec in specs for name in spec.names})
    cursor.execute(
        f"""SELECT DISTINCT {_NUMBER.format(at="at")} FROM (
            SELECT served_at AS at FROM experiments_slate
            WHERE experiment_id = %(experiment)s AND {is_new()}
            UNION ALL SELECT occurred_at FROM experiments_event
            WHERE project_id = %(project)s AND name = ANY(%(names)s) AND {is_new()}
            UNION ALL SELECT slate.served_at FROM experiments_excludedunit AS gone
            JOIN experiments_slate AS slate USING (project_id, unit_id)
            WHERE gone.project_id = %(project)s AND {is_new("gone")}
                AND slate.experiment_id = %(experiment)s
            {_WORDS_AGAIN if any(map(is_feedback, names)) else ""}) AS rows""",
        range_parameters(experiment, span)
        | {"names": names, "length": experiment.parsed_policy.block_seconds},
    )
    return {number for (number,) in cursor.fetchall()}
