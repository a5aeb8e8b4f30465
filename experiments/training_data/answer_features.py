"""Features that requests brought with the texts whose labels visitors corrected or confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from experiments.training_data.examples import SLATE_OF_FEEDBACK

if TYPE_CHECKING:
    from inference.models import Surface

MAX_READ = 2000  # pieces of feedback: each has its slate looked up

_FEATURES = f"""
    WITH lately AS (
        SELECT project_id, recommendation_id FROM experiments_feedback
        WHERE project_id = %(project)s AND item_id = ''
            AND (kind = 'correction' OR (kind = 'thumb' AND value > 0))
        LIMIT %(most)s
    ), answered AS (
        SELECT slate.context -> 'features' AS features
        FROM lately AS feedback CROSS JOIN {SLATE_OF_FEEDBACK}
        WHERE slate.surface_id = %(surface)s AND slate.context ? 'text'
            AND jsonb_typeof(slate.context -> 'features') = 'object'
    )
    SELECT (SELECT count(*) FROM lately),
        array(SELECT DISTINCT jsonb_object_keys(features) FROM answered)"""  # noqa: S608  made of constants


def features_of_answers(surface: Surface) -> frozenset[str] | None:
    """Return the names of these features.

    Returns:
        None where the project has more feedback than is read: any feature may be among it.
    """
    parameters = {"surface": surface.pk, "project": surface.project_id, "most": MAX_READ + 1}
    with connection.cursor() as cursor:
        cursor.execute(_FEATURES, parameters)
        count, names = cursor.fetchone()
    return None if count > MAX_READ else frozenset(names)
