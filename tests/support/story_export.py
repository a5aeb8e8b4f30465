"""The rows of a story as Parquet files, as a warehouse would hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from django.db import connection
from pyarrow import parquet

if TYPE_CHECKING:
    from tests.support.story import Story


def export(story: Story, folder) -> tuple[str, str, str]:
    """Write the experiment's rows as a warehouse would hold them."""
    queries = {
        "exposures": """SELECT unit_id, key AS variant, epoch, exposed_at
            FROM experiments_exposure JOIN experiments_variant AS v ON v.id = variant_id
            WHERE experiments_exposure.experiment_id = %s""",
        "events": """SELECT unit_id, name, occurred_at, value, item_id, properties::text AS properties,
            recommendation_id::text AS recommendation_id, source
            FROM experiments_event WHERE project_id = (
                SELECT project_id FROM experiments_experiment WHERE id = %s)""",
        "slates": """SELECT recommendation_id::text AS recommendation_id, unit_id, served_at
            FROM experiments_slate WHERE experiment_id = %s""",
    }
    paths = []
    for name, query in queries.items():
        with connection.cursor() as cursor:
            cursor.execute(query, [story.experiment.pk])
            columns = [column.name for column in cursor.description]
            rows = cursor.fetchall()
        moment = pa.timestamp("us", tz="UTC")
        types = {"epoch": pa.int64(), "value": pa.float64(), "occurred_at": moment,
                 "exposed_at": moment, "served_at": moment}  # fmt: skip
        table = pa.table(
            {
                c: pa.array([row[n] for row in rows], types.get(c, pa.string()))
                for n, c in enumerate(columns)
            }
        )
        path = folder / f"{name}.parquet"
        parquet.write_table(table, path)
        paths.append(str(path))
    return tuple(paths)
