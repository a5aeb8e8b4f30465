"""Whether two running experiments get in each other's way: does the effect of one depend on the other?

For every two experiments that share units, and every treatment of both, the contrast
(ȳ_tt − ȳ_ct) − (ȳ_tc − ȳ_cc) of the first one's primary metric, with Welch's standard error; it is
0 when effects add up. P-values are corrected by Bonferroni for all contrasts that were looked at.
Source: Kohavi, Tang, Xu (2020), Trustworthy Online Controlled Experiments, ch. 4 (interactions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import permutations

from django.db import connection

from experiments.models import Experiment
from experiments.sql import is_excluded

MIN_UNITS = 50  # in each of the four cells
Z95 = 1.959964

# Values of complete units by the variants that they have met in both experiments; who met two of
# the other's variants is left out, as is who was excluded.
_CELLS = f"""
    SELECT mine.variant_id, theirs.variant_id, count(*), avg(mine.y / nullif(mine.d, 0)),
        coalesce(var_samp(mine.y / nullif(mine.d, 0)), 0)
    FROM experiments_observation AS mine
    CROSS JOIN LATERAL (SELECT min(variant_id) AS variant_id FROM experiments_exposure AS met
        WHERE met.experiment_id = %(other)s AND met.unit_id = mine.unit_id
        HAVING count(DISTINCT variant_id) = 1) AS theirs
    WHERE mine.experiment_id = %(experiment)s AND mine.metric_id = %(metric)s AND mine.batch IS NOT NULL
        AND NOT {is_excluded("mine")}
    GROUP BY 1, 2"""

# Units, mean and variance by (variant of the first, variant of the other).
Cells = dict[tuple[int, int], tuple[int, float, float]]


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
    running = list(Experiment.objects.running().filter(project=project_id).prefetch_related("variants"))
    found: list[InteractionEffect] = []
    for experiment, other in permutations(running, 2):
        found += _contrasts(experiment, other, _read(experiment, other))
    return sorted(
        (_corrected(one, len(found)) for one in found), key=lambda one: (one.p_value, one.experiment)
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
        return {(a, b): (n, mean, variance) for a, b, n, mean, variance in cursor.fetchall()}


def _contrasts(experiment: Experiment, other: Experiment, cells: Cells) -> list[InteractionEffect]:
    keys = {v.pk: v.key for one in (experiment, other) for v in one.variants.all()}
    control, against = (
        next(v.pk for v in e.variants.all() if v.is_control) for e in (experiment, other)
    )
    found = []
    for a, b in cells:
        four = [cells.get(cell) for cell in ((a, b), (control, b), (a, against), (control, against))]
        if a == control or b == against or any(c is None or c[0] < MIN_UNITS for c in four):
            continue
        parts = [cell for cell in four if cell is not None]
        signs = (1, -1, -1, 1)
        contrast = sum(sign * mean for sign, (_, mean, _) in zip(signs, parts, strict=True))
        error = math.sqrt(sum(variance / n for n, _, variance in parts))
        found.append(
            InteractionEffect(
                experiment=experiment.key,
                treatment=keys[a],
                other=other.key,
                other_treatment=keys[b],
                metric=experiment.primary.metric.key,
                units=sum(n for n, _, _ in cells.values()),
                contrast=contrast,
                interval=(contrast - Z95 * error, contrast + Z95 * error),
                p_value=math.erfc(abs(contrast) / error / math.sqrt(2)) if error > 0 else 1.0,
            )
        )
    return found


def _corrected(one: InteractionEffect, count: int) -> InteractionEffect:
    return replace(one, p_value=min(1.0, one.p_value * count))
