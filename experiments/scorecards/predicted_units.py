"""Predict the outcomes of a file's units from columns known before exposure, by other units (CUPAC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.scorecards.unit_file import FileError
from experiments.stats.cross_fit import FOLDS, cross_fit, one_hot
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.scorecards.unit_file import MetricColumn
    from experiments.scorecards.unit_rows import UnitRows

    Array = NDArray[np.float64]

MAX_NAMES = 20  # of a column of names, the frequent ones; the others are alike


@dataclass(frozen=True, slots=True)
class PredictedMetric:
    """A metric's predictions.

    Attributes:
        column: that they become.
        units: names, in order.
        values: a prediction per unit.
        remark: what a reader must know, in words.
    """

    column: str
    units: Sequence[str]
    values: Sequence[float]
    remark: str


def prediction_column(source: UnitRows, metric: MetricColumn) -> str:
    """Return the name of the column of a metric's predictions."""
    names = [one.name for one in source.question.metrics if one.features]
    return f"predicted_{names.index(metric.name)}"


def predict_metric(source: UnitRows, metric: MetricColumn) -> PredictedMetric:
    """Predict a metric's value for each unit, by models of the other units.

    A ratio's value is its contribution, numerator − ratio · denominator.

    Raises:
        FileError: there are too few units, or all have one value.
    """
    value = source.place(metric.value)
    below = source.place(metric.denominator) if metric.denominator else "1.0"
    columns = [f"feature_{source.features.index(name)}" for name in metric.features]
    # By the unit's name, not by its place: the engine reads in two threads, and folds must repeat. By
    # its cluster where there are any: units of one know of each other.
    rows = source.query(
        f"""SELECT unit, (hash(coalesce(cluster, unit)) % {FOLDS})::INTEGER,
        {value}::DOUBLE, {below}::DOUBLE,
        {", ".join(columns)} FROM units ORDER BY unit"""
    )
    units, folds, y, d, *features = zip(*rows, strict=True) if rows else ((),) * (4 + len(columns))
    values, denominators = (np.array(column, dtype=float) for column in (y, d))
    if metric.cap is not None:
        values = np.minimum(values, metric.cap)
    known = ~(np.isnan(values) | np.isnan(denominators))
    total = denominators[known].sum()
    ratio = values[known].sum() / total if metric.denominator and total else 0.0
    matrix = np.hstack([_numbers(column) for column in features])
    predicted = np.zeros(len(units))
    try:
        predicted[known] = cross_fit(
            matrix[known], (values - ratio * denominators)[known], np.array(folds)[known]
        )
    except StatisticsError as error:
        raise FileError(f"'{metric.name}' cannot be predicted: {error}") from error
    return PredictedMetric(
        column=prediction_column(source, metric),
        units=units,
        values=predicted.tolist(),
        remark=(
            f"'{metric.name}' is adjusted by a prediction from {list(metric.features)}: of each unit "
            f"by models of the others, in {FOLDS} parts."
        ),
    )


def _numbers(column: Sequence[Any]) -> Array:
    """Return a feature as numbers, shape (units, columns): a name is 1 in its own column.

    A value that is missing is 0, with a column that says so.
    """
    if any(isinstance(value, str) for value in column):
        missing = np.array([value is None for value in column], dtype=float)[:, None]
        names, counts = np.unique([value for value in column if value is not None], return_counts=True)
        frequent = sorted(names[np.argsort(-counts, kind="stable")][:MAX_NAMES].tolist())
        numbers = one_hot([value or "" for value in column], frequent)
    else:
        written = np.array(column, dtype=float)[:, None]
        missing = (~np.isfinite(written)).astype(float)
        numbers = np.where(missing == 1, 0.0, written)
    return np.hstack([numbers, missing]) if missing.any() else numbers
