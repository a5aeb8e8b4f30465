"""Records as tables for a warehouse: what was done, who was exposed, what was decided.

A span of a table is [lower, upper) of what numbers its rows in the order of their commits: transactions
for events and exposures (decision 0003), ids for decisions, which a project writes one at a time.
So a span that was read once never gets another row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from django.db import connection, transaction

from experiments.metrics.watermark import read_watermark
from experiments.models import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 20_000  # rows in memory at a time, and in a row group
_TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.string()
_FLAG = pa.bool_()
SCHEMAS = {
    "events": pa.schema(
        {
            **dict.fromkeys(("event_id", "name", "unit_id", "item_id", "recommendation_id"), _TEXT),
            "value": pa.float64(),
            **dict.fromkeys(("occurred_at", "received_at"), _TIME),
            **dict.fromkeys(("properties", "source"), _TEXT),
            **dict.fromkeys(("inferred", "trusted", "trainable"), _FLAG),
        }
    ),
    "exposures": pa.schema(
        {
            **dict.fromkeys(("experiment", "variant"), _TEXT),
            "epoch": pa.int32(),
            **dict.fromkeys(("unit_id", "unit_type"), _TEXT),
            "exposed_at": _TIME,
            "source": _TEXT,
        }
    ),
    "decisions": pa.schema(
        {
            **dict.fromkeys(("surface", "experiment", "action", "reason", "created_by"), _TEXT),
            "created_at": _TIME,
            **dict.fromkeys(("promoted", "replaced", "sha256", "previous_sha256", "evidence"), _TEXT),
        }
    ),
}
_QUERIES = {
    "events": """SELECT event_id, name, unit_id, item_id, recommendation_id::text, value, occurred_at,
            received_at, properties::text, source, inferred, trusted, trainable
        FROM experiments_event WHERE project_id = %(project)s
            AND xid >= %(lower)s::text::xid8 AND xid < %(upper)s::text::xid8""",
    "exposures": """SELECT e.key, v.key, x.epoch, x.unit_id, x.unit_type, x.exposed_at, x.source
        FROM experiments_exposure x JOIN experiments_experiment e ON e.id = x.experiment_id
            JOIN experiments_variant v ON v.id = x.variant_id
        WHERE x.project_id = %(project)s
            AND x.xid >= %(lower)s::text::xid8 AND x.xid < %(upper)s::text::xid8""",
    "decisions": """SELECT s.key, e.key, d.action, d.reason, d.created_by, d.created_at,
            p.algorithm || '@' || p.number, r.algorithm || '@' || r.number, d.sha256, d.previous_sha256,
            d.evidence::text
        FROM experiments_decision d JOIN inference_surface s ON s.id = d.surface_id
            LEFT JOIN experiments_experiment e ON e.id = d.experiment_id
            LEFT JOIN inference_modelversion p ON p.id = d.promoted_id
            LEFT JOIN inference_modelversion r ON r.id = d.replaced_id
        WHERE d.project_id = %(project)s AND d.id >= %(lower)s AND d.id < %(upper)s""",
}


def read_ends(project_id: int) -> dict[str, int]:
    """Return, by table, the number that every row so far is below, and every later one is not."""
    upper = read_watermark()
    last = (
        Decision.objects.filter(project=project_id).order_by("-id").values_list("id", flat=True).first()
    )
    return {"events": upper, "exposures": upper, "decisions": (last or 0) + 1}


def read_rows(name: str, *, project_id: int, lower: int, upper: int) -> Iterator[pa.RecordBatch]:
    """Give the rows of a span, in chunks.

    Args:
        name: of the table.
        project_id: whose rows.
        lower: where the span begins.
        upper: where it ends; not in it.
    """
    schema = SCHEMAS[name]
    span = {"project": project_id, "lower": lower, "upper": upper}
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_QUERIES[name], span)
        while rows := cursor.fetchmany(CHUNK):
            columns = zip(*rows, strict=True)
            yield pa.record_batch(
                [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema
            )
