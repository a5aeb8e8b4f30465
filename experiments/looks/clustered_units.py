"""Totals of an experiment that is randomised by cluster, or by block of time: units are summed first.

A cluster's sum changes with each unit that completes, so no total over clusters can be added to: they
are computed from the observations at each look, in an order that no plan changes. Of blocks the roll-up
keeps the sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from experiments.kinds import ABOVE_USERS
from experiments.sql import observed, products
from experiments.stats.clusters import ClusterCounts
from experiments.stats.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Experiment, ExperimentMetric
    from experiments.stats.look_input import LookInput

_WHERE = "WHERE experiment_id = %(experiment)s AND metric_id = %(metric)s"
_OF_METRIC = f"FROM experiments_observation {_WHERE}"
# Ordered, since a sum of floats depends on the order: the same rows must not look like news.
_IN_CLUSTERS = f"""SELECT cluster, min(variant_id) AS variant_id, count(*) AS members,
        {", ".join(f"sum({column} ORDER BY unit_id) AS {column}" for column in observed().values())}
    {_OF_METRIC} AND batch IS NOT NULL AND cluster <> ''
    GROUP BY cluster HAVING min(variant_id) = max(variant_id)"""
_PRODUCTS = {name: sql for name, sql in products(of=observed()).items() if not name.startswith("sum_u")}
_IN_BLOCKS = f"""SELECT number AS cluster, variant_id, users AS members, value, denominator,
        0::float8 AS covariate, users::float8 AS denominator_covariate, uncapped_value
    FROM experiments_blocksum {_WHERE} AND variant_id IS NOT NULL"""
_TOTALS = f"""SELECT variant_id, count(*), sum(members)::bigint,
        {", ".join(f"sum({product} ORDER BY cluster)" for product in _PRODUCTS.values())}
    FROM ({{of}}) AS one GROUP BY variant_id ORDER BY variant_id"""
# Complete or not: whom the draw sent where. A cluster in two variants was not drawn once.
_DRAWN = f"""SELECT variant_id, is_split, count(*) FROM (
        SELECT min(variant_id) AS variant_id, min(variant_id) <> max(variant_id) AS is_split
        {_OF_METRIC} AND cluster <> '' GROUP BY cluster) AS drawn
    GROUP BY variant_id, is_split"""
_UNITS = f"SELECT count(*), count(*) FILTER (WHERE cluster = '') {_OF_METRIC}"


class _Source(NamedTuple):
    """SQL of what is summed: of a metric's totals, of who was drawn, and of the units."""

    totals: str
    drawn: str
    units: str


_CLUSTERS = _Source(_TOTALS.format(of=_IN_CLUSTERS), _DRAWN, _UNITS)
_BLOCKS = _Source(
    _TOTALS.format(of=_IN_BLOCKS),
    f"""SELECT variant_id, variant_id IS NULL, count(*) FROM experiments_blocksum {_WHERE}
        GROUP BY variant_id""",
    f"SELECT coalesce(sum(users), 0)::bigint, 0 FROM experiments_blocksum {_WHERE}",
)


class _MetricTotals(NamedTuple):
    """One metric's totals over clusters, by variant, and the units within them."""

    totals: Mapping[str, Totals]
    units: Mapping[str, int]


def by_clusters(
    experiment: Experiment, metrics: Sequence[ExperimentMetric], inputs: LookInput
) -> LookInput:
    """Return what a look reads with clusters, or blocks, in the place of units; else as it is.

    Args:
        experiment: whose.
        metrics: in the order of the input's.
        inputs: of units.
    """
    if experiment.mode not in ABOVE_USERS:
        return inputs
    are_blocks = experiment.mode == experiment.Mode.SWITCHBACK
    source = _BLOCKS if are_blocks else _CLUSTERS
    keys = {variant.pk: variant.key for variant in experiment.variants.all()}
    read = [_totals_of(source, metric, keys) for metric in metrics]
    primary = next(at for at, metric in enumerate(metrics) if metric.role == metric.Role.PRIMARY)
    drawn, split = _drawn(source, metrics[primary], keys)
    ((exposed, unnamed),) = _rows(source.units, metrics[primary])
    *_, (_, weights) = inputs.exposures  # its shares never change
    return replace(
        inputs,
        # Per cluster, a mean over its units is a sum over a size.
        metrics=[
            replace(one, kind="ratio", epochs=[metric.totals], uncapped=())
            for one, metric in zip(inputs.metrics, read, strict=True)
        ],
        exposures=[(drawn, weights)],
        claimed=(),
        # Users of a switchback meet both variants: that is how it works.
        crossover_units=0 if are_blocks else inputs.crossover_units,
        clusters=ClusterCounts(
            clusters={key: one.n for key, one in read[primary].totals.items()},
            units=read[primary].units,
            exposed_units=exposed,
            unnamed_units=unnamed,
            split=split,
            are_blocks=are_blocks,
        ),
    )


def _totals_of(source: _Source, metric: ExperimentMetric, keys: Mapping[int, str]) -> _MetricTotals:
    totals, units = {}, {}
    for variant, count, members, *sums in _rows(source.totals, metric):
        totals[keys[variant]] = Totals(n=count, **dict(zip(_PRODUCTS, sums, strict=True)))
        units[keys[variant]] = members
    return _MetricTotals(totals, units)


def _drawn(
    source: _Source, metric: ExperimentMetric, keys: Mapping[int, str]
) -> tuple[dict[str, int], int]:
    """Return how many clusters were exposed to each variant, and how many to two."""
    drawn, split = {}, 0
    for variant, is_split, count in _rows(source.drawn, metric):
        if is_split:
            split += count
        else:
            drawn[keys[variant]] = count
    return drawn, split


def _rows(sql: str, metric: ExperimentMetric) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"experiment": metric.experiment_id, "metric": metric.metric_id})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
