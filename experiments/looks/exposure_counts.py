"""How many units met each variant in each epoch: what the sample ratio is tested on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Epoch, Experiment, ExperimentMetric

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class ExposureCounts:
    """Units by variant.

    Attributes:
        units: per epoch, without who is excluded and who came from another variant.
        excluded: per epoch, bots and internal units.
        claimed: per epoch, those of `units` whose exposure a public key claims.
        segments: over all epochs, by `attribute=value`.
        crossover_units: who met another variant before.
    """

    units: Sequence[Counts]
    excluded: Sequence[Counts]
    claimed: Sequence[Counts]
    segments: Mapping[str, Counts]
    crossover_units: int


def count_exposures(
    experiment: Experiment, epochs: Sequence[Epoch], left: frozenset[str]
) -> ExposureCounts:
    """Read the counts of an experiment.

    Args:
        experiment: whose.
        epochs: in their order.
        left: treatments that take no traffic any more.
    """
    variants = {variant.pk: variant.key for variant in experiment.variants.all()}
    moved = {epoch.number for epoch in epochs if any(epoch.weights.get(key, 0.0) <= 0 for key in left)}
    units: dict[int, Counts] = defaultdict(dict)
    excluded: dict[int, Counts] = defaultdict(dict)
    claimed: dict[int, Counts] = defaultdict(dict)
    segments: dict[str, Counts] = defaultdict(lambda: defaultdict(int))
    crossover_units = 0
    for total in experiment.exposure_totals.all():
        key = variants[total.variant_id]
        # All units of a treatment that left meet the control afterwards: no fault of anybody's.
        if total.epoch not in moved:
            crossover_units += total.crossover_units
        if total.segment:
            segments[total.segment][key] += total.units
            continue
        # A unit counts in the split where it came first: that it is met again in another variant
        # says nothing about who is sent where.
        units[total.epoch][key] = max(total.units - total.crossover_units, 0)
        excluded[total.epoch][key] = total.excluded
        claimed[total.epoch][key] = total.claimed
    return ExposureCounts(
        units=[units[epoch.number] for epoch in epochs],
        excluded=[excluded[epoch.number] for epoch in epochs],
        claimed=[claimed[epoch.number] for epoch in epochs],
        segments={name: dict(counts) for name, counts in segments.items()},
        crossover_units=crossover_units,
    )


def count_cross_id_conflicts(experiment: Experiment, metric: ExperimentMetric) -> int:
    """Count people whose two units, met before they logged in, are in different variants.

    Each unit is looked up by itself (LATERAL with LIMIT): as joins their plan would depend on the
    statistics of a young table, and compare every link with every observation.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM experiments_link AS person
            CROSS JOIN LATERAL (SELECT variant_id FROM experiments_observation AS own
                WHERE own.experiment_id = %(experiment)s AND own.metric_id = %(metric)s
                    AND own.unit_id = person.unit_id LIMIT 1) AS one
            CROSS JOIN LATERAL (SELECT variant_id FROM experiments_observation AS own
                WHERE own.experiment_id = %(experiment)s AND own.metric_id = %(metric)s
                    AND own.unit_id = person.other_unit_id LIMIT 1) AS other
            WHERE person.project_id = %(project)s AND person.alias IS NULL
                AND one.variant_id <> other.variant_id""",
            {
                "experiment": experiment.pk,
                "metric": metric.metric_id,
                "project": experiment.project_id,
            },
        )
        return int(cursor.fetchone()[0])
