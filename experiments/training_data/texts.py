"""What people wrote in feedback, redacted, as far as they consent to its being learnt from."""

from __future__ import annotations

from django.db import connection

from experiments.sql import counts_now, free_text, has_free_text, is_excluded
from inference.training.snapshot import Texts

MAX_TEXTS = 100_000  # the newest: an encoder reads some ten thousand in a run
# In the end by time and id: training on the same rows in another order would give another model.
_TEXTS = f"""
    SELECT unit_id, text, at FROM (
        SELECT unit_id, {free_text("feedback")} AS text,
            extract(epoch FROM received_at)::float8 AS at, feedback_id
        FROM experiments_feedback AS feedback
        WHERE project_id = %(project)s AND {has_free_text("feedback")} AND trainable
            AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}
        ORDER BY received_at DESC, feedback_id LIMIT {MAX_TEXTS}
    ) AS newest ORDER BY at, feedback_id"""


def texts_of(project_id: int) -> Texts:
    """Return the newest texts that count and that may be learnt from, ordered by time."""
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, {"project": project_id})
        rows = cursor.fetchall()
    return Texts(*(list(column) for column in zip(*rows, strict=True))) if rows else Texts([], [], [])
