"""A unit's segments as they were when the experiment started: features of its prediction.

Attributes are stored as they are now. A plan that changed after the exposure may be an outcome, and so
may be whether it changed at all. So what is known is copied once, before anybody is exposed: neither a
later value nor a later unit enters, and to the prediction such a unit has no segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from experiments.models import Experiment


def store_segments_at_start(experiment: Experiment) -> None:
    """Copy every unit's values of the attributes that the experiment names.

    In the transaction of the start, so that the model is learnt from the same values.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_segmentsatstart (experiment_id, unit_id, segments)
            SELECT %(experiment)s, unit.unit_id,
                array_agg(name || '=' || left(unit.attributes ->> name, 60) ORDER BY name)
            FROM experiments_unit AS unit CROSS JOIN unnest(%(attributes)s::text[]) AS name
            WHERE unit.project_id = %(project)s AND unit.attributes ->> name IS NOT NULL
            GROUP BY unit.unit_id""",
            {
                "experiment": experiment.pk,
                "project": experiment.project_id,
                "attributes": sorted(set(experiment.segments)),
            },
        )
