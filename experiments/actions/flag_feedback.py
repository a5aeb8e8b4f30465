"""Flag feedback that looks copied, comes in a burst, or names a label that nobody has declared.

A flag hides nothing, a person decides. Undeclared labels are not learnt until then (`clean_examples`).
"""

from __future__ import annotations

from django.db import connection

from experiments.sql import free_text, has_free_text
from experiments.training_data.examples import labels_of_surface
from inference.models import Surface
from inference.serving.folded_labels import fold_label

# Two people may write "nice"; three who write the same whole text within a day are copies.
UNITS_WITH_ONE_TEXT = 3
# A piece of feedback every half minute: more than a person who reads does.
UNIT_PER_TEN_MINUTES = 20
# A variant's last ten minutes against its mean ten minutes of the day before them.
BURST_TIMES = 5
MIN_IN_BURST = 20

_DUPLICATES = f"""
    WITH copied AS (
        SELECT project_id, md5(lower({free_text("own")})) AS content FROM experiments_feedback AS own
        WHERE {has_free_text("own")} AND received_at > now() - interval '1 day'
        GROUP BY 1, 2 HAVING count(DISTINCT unit_id) >= %(copies)s)
    UPDATE experiments_feedback AS f SET flags = f.flags || '{{duplicate}}'::varchar[]
    FROM copied
    WHERE f.project_id = copied.project_id AND md5(lower({free_text("f")})) = copied.content
        AND {has_free_text("f")} AND f.received_at > now() - interval '1 day'
        AND NOT 'duplicate' = ANY(f.flags)"""
_BURSTS = """
    WITH recent AS (
        SELECT id, project_id, unit_id, variant_id, model_version_id, kind,
            received_at > now() - interval '10 minutes' AS late
        FROM experiments_feedback WHERE received_at > now() - interval '1 day'
    ), unit AS (
        SELECT project_id, unit_id FROM recent WHERE late
        GROUP BY 1, 2 HAVING count(*) > %(unit)s
    ), variant AS (
        SELECT variant_id FROM recent WHERE variant_id IS NOT NULL GROUP BY 1
        HAVING count(*) FILTER (WHERE late) >= %(minimum)s
            AND count(*) FILTER (WHERE late) > %(times)s * count(*) FILTER (WHERE NOT late) / 143.0
            AND count(*) FILTER (WHERE NOT late) > 0
    ), outside AS (  -- of any experiment: a quiet project has no mean yet, so the bar is higher
        SELECT project_id, model_version_id, kind FROM recent WHERE variant_id IS NULL GROUP BY 1, 2, 3
        HAVING count(*) FILTER (WHERE late) > %(times)s * CASE WHEN count(*) FILTER (WHERE NOT late) > 0
                THEN greatest(%(minimum)s / %(times)s, count(*) FILTER (WHERE NOT late) / 143.0)
                ELSE %(minimum)s END
    )
    UPDATE experiments_feedback AS f SET flags = f.flags || '{burst}'::varchar[]
    FROM recent
    WHERE f.id = recent.id AND recent.late AND NOT 'burst' = ANY(f.flags)
        AND ((recent.project_id, recent.unit_id) IN (SELECT project_id, unit_id FROM unit)
            OR recent.variant_id IN (SELECT variant_id FROM variant)
            OR recent.variant_id IS NULL AND EXISTS (SELECT 1 FROM outside
                WHERE outside.project_id = recent.project_id AND outside.kind = recent.kind
                    AND outside.model_version_id IS NOT DISTINCT FROM recent.model_version_id))"""
# Corrections of the day, of one surface, that no person has looked at.
_CORRECTIONS = """
    SELECT said.id, said.text FROM experiments_feedback AS said JOIN experiments_slate AS slate
        ON slate.recommendation_id = said.recommendation_id AND slate.project_id = said.project_id
    WHERE said.project_id = %(project)s AND slate.surface_id = %(surface)s
        AND said.kind = 'correction' AND said.item_id = '' AND NOT said.trusted
        AND said.reviewed_by = '' AND said.received_at > now() - interval '1 day'
        AND NOT 'undeclared' = ANY(said.flags)"""


def flag_feedback() -> int:
    """Flag the day's feedback; return how many rows got a flag."""
    with connection.cursor() as cursor:
        cursor.execute(_DUPLICATES, {"copies": UNITS_WITH_ONE_TEXT})
        flagged = int(cursor.rowcount)
        cursor.execute(
            _BURSTS,
            {"unit": UNIT_PER_TEN_MINUTES, "minimum": MIN_IN_BURST, "times": BURST_TIMES},
        )
        flagged += int(cursor.rowcount)
    for surface in Surface.objects.filter(kind=Surface.Kind.CLASSIFY):
        flagged += _flag_undeclared(surface)
    return flagged


def _flag_undeclared(surface: Surface) -> int:
    """Flag corrections whose labels are not learnt before a person has looked."""
    with connection.cursor() as cursor:
        cursor.execute(_CORRECTIONS, {"project": surface.project_id, "surface": surface.pk})
        rows = cursor.fetchall()
        if not rows:
            return 0
        known = labels_of_surface(surface)
        strange = [row for row, label in rows if fold_label(label) not in known]
        cursor.execute(
            """UPDATE experiments_feedback SET flags = flags || '{undeclared}'::varchar[]
            WHERE id = ANY(%s)""",
            [strange],
        )
        return int(cursor.rowcount)
