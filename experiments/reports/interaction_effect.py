"""Whether two running experiments get in each other's way: does the effect of one depend on the other?

For every two experiments that share units, and every treatment of both, the contrast of the first one's
primary metric (`stats.interaction`). P-values are corrected by Bonferroni for all contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

from django.db import connection

from experiments.models import Experiment
from experiments.sql import is_excluded
from experiments.stats.interaction import MIN_UNITS, Cell, contrast_of
from experiments.stats.multiplicity import bonferroni

# Values of complete units by the variants that they have met in both experiments; who met two of
# the other's variants is left out, as is who was excluded.
_CELLS = f"""
    SELECT mine.variant_id, theirs.variant_id, count(*), avg(mine.value / nullif(mine.denominator, 0)),
        coalesce(var_samp(mine.value / nullif(mine.denominator, 0)), 0)
    FROM experiments_observation AS mine
    CROSS JOIN LATERAL (SELECT min(variant_id) AS variant_id FROM experiments_exposure AS met
        WHERE met.experiment_id = %(other)s AND met.unit_id = mine.unit_id
        HAVING count(DISTINCT variant_id) = 1) AS theirs
    WHERE mine.experiment_id = %(experiment)s AND mine.metric_id = %(metric)s AND mine.batch IS NOT NULL
        AND NOT {is_excluded("mine")}
    GROUP BY 1, 2"""

# By (variant of the first experiment, variant of the other).
Cells = dict[tuple[int, int], Cell]


@dataclass(frozen=True, slots=True)
class InteractionEffect:
    """One contrast.

    Attributes:
        experiment: whose effect.
        treatment: of it.
        other: beside which.
        other_treatment: of that.
        metric: the first one's primary metric.
        units: how many are in both.
        contrast: how much the effect differs between the other's treatment and its control.
        interval: 95 %, not corrected.
        p_value: corrected.
    """

    experiment: str
    treatment: str
    other: str
    other_treatment: str
    metric: str
    units: int
    contrast: float
    interval: tuple[float, float]
    p_value: float


def interaction_effects(project_id: int) -> list[InteractionEffect]:
    """Compare every two running experiments that share units, the smallest p-value first."""
    tests = Experiment.objects.running().tests().filter(project=project_id)
    running = list(tests.prefetch_related("variants"))
    effects: list[InteractionEffect] = []
    for experiment, other in permutations(running, 2):
        effects += _contrasts(experiment, other, _read(experiment, other))
    corrected = bonferroni([one.p_value for one in effects])
    return sorted(
        (replace(one, p_value=p or 0.0) for one, p in zip(effects, corrected, strict=True)),
        key=lambda one: (one.p_value, one.experiment),
    )


def _read(experiment: Experiment, other: Experiment) -> Cells:
    with connection.cursor() as cursor:
        cursor.execute(
            _CELLS,
            {
                "experiment": experiment.pk,
                "other": other.pk,
                "metric": experiment.primary.metric_id,
                "project": experiment.project_id,
            },
        )
        return {(a, b): Cell(n, mean, variance) for a, b, n, mean, variance in cursor.fetchall()}


def _contrasts(experiment: Experiment, other: Experiment, cells: Cells) -> list[InteractionEffect]:
    keys = {v.pk: v.key for one in (experiment, other) for v in one.variants.all()}
    control, against = (
        next(v.pk for v in e.variants.all() if v.is_control) for e in (experiment, other)
    )
    effects = []
    for a, b in cells:
        four = [cells.get(key) for key in ((a, b), (control, b), (a, against), (control, against))]
        full = [cell for cell in four if cell is not None and cell.n >= MIN_UNITS]
        if a == control or b == against or len(full) < len(four):
            continue
        contrast = contrast_of(*full)
        effects.append(
            InteractionEffect(
                experiment=experiment.key,
                treatment=keys[a],
                other=other.key,
                other_treatment=keys[b],
                metric=experiment.primary.metric.key,
                units=sum(cell.n for cell in cells.values()),
                contrast=contrast.estimate,
                interval=contrast.interval,
                p_value=contrast.p_value,
            )
        )
    return effects
