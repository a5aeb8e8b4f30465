"""Learn, before an experiment starts, what a unit's value will be from what it did before (CUPAC).

The units are those of the time before: each is looked at from its first event in the history on, as if
it had been exposed then. The model is fixed at the start, so that what it says of a unit is a number
from before the unit's exposure, as a covariate must be. The segments that the experiment names are
features as they were at the start (`segments_at_start`): a past unit's may have come after its outcome,
which costs the model precision, never the test its level.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.db import connection

from experiments.metrics.spec import MetricError
from experiments.metrics.sql import SEGMENTS_AT_START, compile_metric, history_features
from experiments.metrics.watermark import read_watermark
from experiments.stats.cross_fit import MAX_UNITS, fit_outcome
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Experiment
    from experiments.stats.outcome_model import OutcomeModel

    Array = NDArray[np.float64]

HISTORY = timedelta(days=28)
MIN_IN_SEGMENT, MAX_SEGMENTS = 50, 20  # units; of fewer a tree learns chance, and more say little more


def learn_prediction(experiment: Experiment, spec: MetricSpec) -> OutcomeModel:
    """Fit the prediction of a metric on the units of the 28 days before the last complete window.

    In a transaction, whose time limit for a statement is the caller's.

    Raises:
        MetricError: there are too few such units, or all have one value.
    """
    values, history, segments = _read(experiment, spec)
    names = _frequent(segments)
    inside = [[float(name in of_unit) for name in names] for of_unit in segments]
    features = np.hstack([history, np.array(inside).reshape(len(segments), len(names))])
    try:
        return fit_outcome(features, values, segments=names)
    except StatisticsError as error:
        raise MetricError(
            f"covariate == 'prediction' of metric '{spec.key}', cannot be learnt from the "
            f"{HISTORY.days} days before: {error} Choose 'history', or wait.",
            field="covariate",
        ) from error


def _read(experiment: Experiment, spec: MetricSpec) -> tuple[Array, Array, list[list[str]]]:
    """Return values (units,), features from before (units, features), and segments per unit.

    A ratio's value is its contribution, numerator − ratio · denominator: its estimate is their mean.
    """
    compiled, features = compile_metric(spec), history_features(spec)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH o AS MATERIALIZED (
                SELECT unit_id, min(occurred_at) AS exposed_at FROM experiments_event
                WHERE project_id = %(project)s AND source = 'live'
                    AND occurred_at >= now() - %(complete)s - %(history)s
                GROUP BY unit_id HAVING min(occurred_at) <= now() - %(complete)s
                ORDER BY md5(unit_id) LIMIT %(units)s),
            valued AS (SELECT o.unit_id, {compiled.uncapped_value} AS uncapped_value,
                {compiled.denominator} AS denominator,
                ARRAY[{", ".join(features)}] AS features,
                coalesce({SEGMENTS_AT_START}, '{{}}') AS segments FROM o)
            SELECT {compiled.value}, denominator, features, segments FROM valued ORDER BY md5(unit_id)
            """,
            dict(compiled.parameters)
            | {
                "project": experiment.project_id,
                "experiment": experiment.pk,
                "upper": read_watermark(),
                "history": HISTORY,
                "complete": timedelta(seconds=spec.complete_after_seconds),
                "units": MAX_UNITS,
            },
        )
        rows = cursor.fetchall()
    y, d = (np.array([row[n] for row in rows], dtype=float) for n in (0, 1))
    past = np.array([row[2] for row in rows], dtype=float).reshape(len(rows), len(features))
    ratio = y.sum() / d.sum() if spec.kind == "ratio" and d.sum() else 0.0
    return y - ratio * d, past, [row[3] for row in rows]


def _frequent(segments: Sequence[Sequence[str]]) -> list[str]:
    """Return the segments with enough units, largest first, ties by name."""
    counts = Counter(name for names in segments for name in names)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return [name for name in ranked if counts[name] >= MIN_IN_SEGMENT][:MAX_SEGMENTS]
