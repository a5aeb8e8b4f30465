"""Past units of a project with their values of a metric: what an A/A simulation splits at random."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.db import connection

from experiments.metrics.spec import MetricSpec
from experiments.metrics.sql import compile_metric
from experiments.metrics.watermark import read_watermark
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from experiments.models import Metric

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class PastUnits:
    """Units in the order in which they came.

    Attributes:
        y: each one's value or numerator, capped, shape (units,).
        d: its denominator, shape (units,).
    """

    y: NDArray[np.float64]
    d: NDArray[np.float64]


def read_past_units(metric: Metric, *, days: float) -> PastUnits:
    """Look at each unit that did anything in the last days, from its first event in them on.

    Live events alone, as in an experiment; units whose window has not passed yet are left out.

    Raises:
        StatisticsError: days that are not positive, a metric that cannot be computed without an
            experiment, or too few units.
    """
    if days <= 0:
        raise StatisticsError(f"days == {days:g}, must be positive.")
    spec = MetricSpec.of(metric, default_window_seconds=DAY_SECONDS)
    if spec.reads_slates or spec.attributed_only or spec.kind == "quantile":
        raise StatisticsError(
            f"metric == '{spec.key}', must be one that needs no experiment: not over slates, not "
            "attributed, not a quantile."
        )
    compiled = compile_metric(spec)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH o AS MATERIALIZED (
                SELECT unit_id, min(occurred_at) AS exposed_at FROM experiments_event
                WHERE project_id = %(project)s AND source = 'live'
                    AND occurred_at >= now() - %(history)s
                GROUP BY unit_id HAVING min(occurred_at) <= now() - %(complete)s),
            valued AS (SELECT exposed_at, {compiled.uncapped_value} AS uncapped_value,
                {compiled.denominator} AS denominator FROM o)
            SELECT {compiled.value}, denominator FROM valued ORDER BY exposed_at
            """,
            dict(compiled.parameters)
            | {
                "project": metric.project_id,
                "experiment": 0,
                "upper": read_watermark(),
                "history": timedelta(days=days),
                "complete": timedelta(seconds=spec.complete_after_seconds),
            },
        )
        rows = np.array(cursor.fetchall(), dtype=float).reshape(-1, 2)
    if len(rows) < 4:
        raise StatisticsError(
            f"complete units in the last {days:g} days == {len(rows)}, must be at least 4 to be split."
        )
    return PastUnits(y=rows[:, 0], d=rows[:, 1])
