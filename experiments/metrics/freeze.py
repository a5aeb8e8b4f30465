"""Fix what an experiment's metrics count, at its start: later edits do not touch what runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection

from experiments.metrics.segments_at_start import store_segments_at_start
from experiments.metrics.spec import MetricSpec
from experiments.metrics.sql import compile_metric
from experiments.metrics.watermark import read_watermark

if TYPE_CHECKING:
    from experiments.models import Experiment, ExperimentMetric

HISTORY = timedelta(days=28)
HISTORY_SECONDS = 120


def freeze_metrics(experiment: Experiment) -> None:
    """Write each role's definition, caps and predictions settled on what was there before the start.

    Raises:
        MetricError: a metric's fields break a rule, or there is too little to learn a prediction from.
    """
    window = experiment.parsed_policy.window_seconds
    metrics = list(experiment.metrics.select_related("metric"))
    if experiment.segments and any(one.metric.covariate == "prediction" for one in metrics):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{HISTORY_SECONDS}s'")
        store_segments_at_start(experiment)
    for metric in metrics:
        spec = MetricSpec.of(metric.metric, default_window_seconds=window)
        if spec.cap is None and metric.metric.cap_quantile is not None:
            with connection.cursor() as cursor:
                # It may read a month of events, once at a start: longer than a page may take.
                cursor.execute(f"SET LOCAL statement_timeout = '{HISTORY_SECONDS}s'")
            cap = past_quantile(
                experiment.project_id, spec, metric.metric.cap_quantile, upper=read_watermark()
            )
            spec = spec.with_cap(cap)
        if spec.covariate == "prediction":
            # Here: most processes fit nothing, and numpy takes its time.
            from experiments.metrics.learn_prediction import learn_prediction  # noqa: PLC0415

            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{HISTORY_SECONDS}s'")
            spec = spec.with_prediction(learn_prediction(experiment, spec))
        metric.spec = spec.as_json()
        metric.save(update_fields=["spec"])


def spec_of(metric: ExperimentMetric, experiment: Experiment) -> MetricSpec:
    """Return what a metric counts: as it was fixed at the start; before, as it is declared."""
    if metric.spec:
        return MetricSpec.from_json(metric.spec)
    window = experiment.parsed_policy.window_seconds
    return MetricSpec.of(metric.metric, default_window_seconds=window)


def past_quantile(project_id: int, spec: MetricSpec, quantile: float, *, upper: int) -> float | None:
    """Return a quantile of units' values over one window before now, of those that have one.

    Each unit is looked at from its first event of the last 28 days on. None without such units: there
    is nothing to judge what is too large by.
    """
    compiled = compile_metric(spec)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH o AS (
                SELECT unit_id, min(occurred_at) AS exposed_at FROM experiments_event
                WHERE project_id = %(project)s AND name = ANY(%(names)s)
                    AND occurred_at >= now() - %(history)s
                GROUP BY unit_id),
            valued AS (SELECT {compiled.uncapped_value} AS value FROM o)
            SELECT percentile_cont(%(quantile)s) WITHIN GROUP (ORDER BY value) FROM valued
            WHERE value > 0
            """,
            dict(compiled.parameters)
            | {
                "project": project_id,
                "experiment": 0,  # that starts has no answers yet
                "upper": upper,
                "history": HISTORY,
                "quantile": quantile,
            },
        )
        value: float | None = cursor.fetchone()[0]
    return value
