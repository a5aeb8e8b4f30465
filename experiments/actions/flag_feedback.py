"""Flag feedback that looks copied or comes in a burst; a flag hides nothing, a person decides."""

from __future__ import annotations

from django.db import connection

UNITS_WITH_ONE_TEXT = 3
UNIT_PER_TEN_MINUTES = 20
# A variant's last ten minutes against its mean ten minutes of the day before them.
BURST_TIMES = 5
LEAST_IN_BURST = 20

_DUPLICATES = """
    WITH copied AS (
        SELECT project_id, md5(lower(text)) AS content FROM experiments_feedback
        WHERE kind = 'text' AND text <> '' AND received_at > now() - interval '1 day'
        GROUP BY 1, 2 HAVING count(DISTINCT unit_id) >= %(copies)s)
    UPDATE experiments_feedback AS f SET flags = f.flags || '{duplicate}'::varchar[]
    FROM copied
    WHERE f.project_id = copied.project_id AND md5(lower(f.text)) = copied.content
        AND f.kind = 'text' AND f.received_at > now() - interval '1 day'
        AND NOT 'duplicate' = ANY(f.flags)"""
_BURSTS = """
    WITH recent AS (
        SELECT id, project_id, unit_id, variant_id, received_at > now() - interval '10 minutes' AS late
        FROM experiments_feedback WHERE received_at > now() - interval '1 day'
    ), unit AS (
        SELECT project_id, unit_id FROM recent WHERE late
        GROUP BY 1, 2 HAVING count(*) > %(unit)s
    ), variant AS (
        SELECT variant_id FROM recent WHERE variant_id IS NOT NULL GROUP BY 1
        HAVING count(*) FILTER (WHERE late) >= %(least)s
            AND count(*) FILTER (WHERE late) > %(times)s * count(*) FILTER (WHERE NOT late) / 143.0
            AND count(*) FILTER (WHERE NOT late) > 0
    )
    UPDATE experiments_feedback AS f SET flags = f.flags || '{burst}'::varchar[]
    FROM recent
    WHERE f.id = recent.id AND recent.late AND NOT 'burst' = ANY(f.flags)
        AND ((recent.project_id, recent.unit_id) IN (SELECT project_id, unit_id FROM unit)
            OR recent.variant_id IN (SELECT variant_id FROM variant))"""


def flag_feedback() -> int:
    """Flag the day's feedback; return how many rows got a flag."""
    with connection.cursor() as cursor:
        cursor.execute(_DUPLICATES, {"copies": UNITS_WITH_ONE_TEXT})
        flagged = int(cursor.rowcount)
        cursor.execute(
            _BURSTS,
            {"unit": UNIT_PER_TEN_MINUTES, "least": LEAST_IN_BURST, "times": BURST_TIMES},
        )
        return flagged + int(cursor.rowcount)
