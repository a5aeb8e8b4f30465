"""A unit's segments as they were when the experiment started: features of its prediction.

Attributes are stored as they are now. A plan that changed after the exposure may be an outcome, and so
may be whether it changed at all. So what is known is copied once, before anybody is exposed: neither a
later value nor a later unit enters, and to the prediction such a unit has no segment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection

from experiments.models import Experiment, SegmentsAtStart

if TYPE_CHECKING:
    from datetime import datetime

DAY = timedelta(days=1)


def delete_segments_of_ended(now: datetime) -> int:
    """Delete what no look reads any more; return how many rows."""
    # A day later: a look that began before the end may still be at work.
    ended = Experiment.objects.filter(state=Experiment.State.ENDED, ended_at__lt=now - DAY)
    return SegmentsAtStart.objects.filter(experiment__in=ended.values("pk")).delete()[0]


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
