"""Take back the names of themes that a model made from texts which no longer count.

A name says what its quotes say: where one of them was erased, taken back, hidden or has expired, it
goes too. Pages leave such a name out at once; here it leaves the database.
"""

from __future__ import annotations

from django.db import connection

from experiments.sql import counts_now

_CLEAR = f"""
    UPDATE experiments_theme AS theme SET name = '', named_by_id = NULL, named_from = '{{}}'
    WHERE theme.name <> '' AND (coalesce(cardinality(theme.named_from), 0) = 0 OR EXISTS (
        SELECT 1 FROM unnest(theme.named_from) AS source (id) WHERE NOT EXISTS (
            SELECT 1 FROM experiments_feedback AS feedback
            WHERE feedback.id = source.id AND {counts_now("feedback")})))"""


def clear_theme_names() -> int:
    """Clear the names of which a source no longer counts, or is not known; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_CLEAR)
        return int(cursor.rowcount)
