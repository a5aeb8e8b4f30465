"""From units to the clusters that were randomised: accounts, stores, or blocks of time (switchback).

A cluster's units are alike and met one variant together, so they count as one draw: a mean per unit is
the ratio of clusters' sums to clusters' sizes, whose variance the delta method takes over clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.scorecards.unit_file import FileError
from experiments.sql import OBSERVED, products
from experiments.stats.clusters import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from experiments.scorecards.unit_file import ClusterColumn, MetricColumn
    from experiments.scorecards.unit_rows import UnitRows


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """What a file's clusters add up to.

    Attributes:
        clusters: per variant.
        units: within them, per variant.
        split: clusters whose rows stand in two variants; they are left out.
        sums: by metric and variant, as the statistics name them.
    """

    clusters: dict[str, int]
    units: dict[str, int]
    split: int
    sums: dict[str, dict[str, dict[str, Any]]]


def sum_clusters(
    source: UnitRows,
    metrics: Sequence[MetricColumn],
    *,
    cluster: ClusterColumn,
    columns_of: Callable[[MetricColumn], Mapping[str, str]],
    valid: Callable[[MetricColumn], str],
) -> ClusterSums:
    """Sum units to clusters, and clusters to totals.

    Args:
        source: of the units, with their clusters.
        metrics: none of them a quantile.
        cluster: what was randomised.
        columns_of: SQL of y, d, x, w and u of a unit.
        valid: SQL: whether a unit counts for a metric.

    Raises:
        FileError: a variant has too few clusters, or every cluster holds one unit.
    """
    # By all rows: units in two variants are gone from `units`, and so are variants that the question
    # leaves out, but a cluster that met both was not drawn once.
    source.query(
        """CREATE TABLE split_clusters AS SELECT cluster FROM entries
        WHERE variant IS NOT NULL AND NOT carried_over
        GROUP BY cluster HAVING min(variant) <> max(variant)"""
    )
    columns = [f"count(*) FILTER ({valid(metric)}) AS k_{n}" for n, metric in enumerate(metrics)]
    columns += [
        f"coalesce(sum({sql}::DOUBLE) FILTER ({valid(metric)}), 0.0) AS {letter}_{n}"
        for n, metric in enumerate(metrics)
        for letter, sql in columns_of(metric).items()
    ]
    source.query(
        f"""CREATE TABLE clusters AS SELECT cluster, min(variant) AS variant, count(*) AS members,
        {", ".join(columns)} FROM units WHERE cluster NOT IN (FROM split_clusters) GROUP BY cluster"""
    )
    ((split,),) = source.query("SELECT count(*) FROM split_clusters")
    counted = source.query(
        "SELECT variant, count(*), sum(members)::BIGINT FROM clusters GROUP BY variant ORDER BY variant"
    )
    sizes = {name: (clusters, units) for name, clusters, units in counted}
    _require_clusters(sizes, split, cluster)
    sums: dict[str, dict[str, dict[str, Any]]] = {}
    for n, metric in enumerate(metrics):
        each = products(of={letter: f"{letter}_{n}" for letter in OBSERVED}, count="DOUBLE")
        rows = source.query(
            f"""SELECT variant, count(*), {", ".join(f"sum({one})" for one in each.values())}
            FROM clusters WHERE k_{n} > 0 GROUP BY variant"""
        )
        sums[metric.name] = {
            variant: {"n": count, **dict(zip(each, values, strict=True))}
            for variant, count, *values in rows
        }
    return ClusterSums(
        clusters={name: clusters for name, clusters, _ in counted},
        units={name: units for name, _, units in counted},
        split=split,
        sums=sums,
    )


def _require_clusters(
    counted: Mapping[str, tuple[int, int]], split: int, cluster: ClusterColumn
) -> None:
    word = cluster.word
    if not counted:
        raise FileError(f"{word} in two variants == {split}, that is every one of the file.")
    # A block may well have one row, its sum: time was switched all the same.
    if cluster.block_seconds is None and all(n == units for n, units in counted.values()):
        raise FileError(
            f"units per cluster == 1 in all {sum(n for n, _ in counted.values())} clusters, must be "
            "several in some: leave --cluster out where each unit was randomised by itself."
        )
    for variant, (clusters, _) in counted.items():
        if clusters < MIN_CLUSTERS:
            raise FileError(
                f"{word} of '{variant}' == {clusters}, must be at least {MIN_CLUSTERS} in each "
                "variant: with fewer, no interval keeps its level."
            )
