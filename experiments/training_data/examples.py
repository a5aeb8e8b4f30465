"""Labelled texts: what the product brought, and what visitors said of the answers they were given.

A correction names the label; a thumb up confirms the first label that was answered. Of one answer the
correction counts, else the thumb. Of queued answers and comments, what two reviewers
agreed on counts beside them, of a comment as long as it is neither taken back nor hidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from django.db import connection
from django.utils import timezone

from experiments.bounds import FUTURE
from experiments.sql import counts_now, is_excluded
from inference.training.clean_examples import RawExample, clean_examples, known_labels

if TYPE_CHECKING:
    from inference.models import Surface
    from inference.training.snapshot import Examples

# The slate of a piece of feedback, by its key whatever the planner knows of the tables: OFFSET 0 keeps
# the surface's condition outside, by which all of its slates would be read for each piece.
SLATE_OF_FEEDBACK = """LATERAL (
            SELECT slate.* FROM experiments_slate AS slate
            WHERE slate.recommendation_id = feedback.recommendation_id
                AND slate.project_id = feedback.project_id
            OFFSET 0) AS slate"""
# Of one answer the correction comes before the thumb, and of two the later: DISTINCT ON keeps one.
# In the end by time and id: training on the same rows in another order would give another model.
_EXAMPLES = f"""
    SELECT unit_id, text, features, label, extract(epoch FROM at)::float8, trusted, approved FROM (
        SELECT '' AS unit_id, text, features, label, labelled_at AS at, example_id AS id,
            true AS trusted, false AS approved
        FROM inference_example WHERE surface_id = %(surface)s
        UNION ALL
        SELECT unit_id, text, features, label, decided_at AS at, 'task:' || id AS id,
            true AS trusted, true AS approved
        FROM experiments_labeltask AS task WHERE surface_id = %(surface)s AND state = 'agreed'
            AND source_id !~ '^example:' AND NOT {is_excluded("task")}
            AND NOT EXISTS (SELECT 1 FROM experiments_feedback AS feedback
                WHERE feedback.project_id = task.project_id AND task.source_id LIKE 'feedback:%%'
                    AND feedback.feedback_id = substr(task.source_id, length('feedback:') + 1)
                    AND NOT {counts_now("feedback")} OFFSET 0)
        UNION ALL
        (SELECT DISTINCT ON (slate.recommendation_id) feedback.unit_id, slate.context ->> 'text',
            coalesce(slate.context -> 'features', '{{}}'),
            CASE feedback.kind WHEN 'correction' THEN feedback.text ELSE slate.slots -> 0 ->> 0 END,
            feedback.received_at, feedback.feedback_id, feedback.trusted, feedback.reviewed_by <> ''
        FROM experiments_feedback AS feedback CROSS JOIN {SLATE_OF_FEEDBACK}
        WHERE feedback.project_id = %(project)s AND slate.surface_id = %(surface)s
            AND slate.context ? 'text' AND slate.trainable AND feedback.trainable
            AND {counts_now("feedback")}
            AND (feedback.kind = 'correction' OR (feedback.kind = 'thumb' AND feedback.value > 0))
            AND feedback.item_id = ''
            AND NOT {is_excluded("feedback")}
        ORDER BY slate.recommendation_id, feedback.kind = 'thumb', feedback.received_at DESC)
    ) AS every WHERE label <> '' ORDER BY at, id"""


def examples_of(surface: Surface) -> Examples:
    """Return the labelled texts of a surface that may be learnt from, ordered by time.

    Rows of the future and labels that nobody has declared are set aside (`clean_examples`), and noted.
    """
    with connection.cursor() as cursor:
        cursor.execute(_EXAMPLES, {"surface": surface.pk, "project": surface.project_id})
        rows = [
            RawExample(unit, text, orjson.loads(features), label, at, trusted, approved)
            for unit, text, features, label, at, trusted, approved in cursor.fetchall()
        ]
    latest = (timezone.now() + FUTURE).timestamp()
    return clean_examples(rows, surface.labels, latest=latest)


_LABELS = f"""
    SELECT DISTINCT label, true FROM inference_example WHERE surface_id = %(surface)s
    UNION
    SELECT DISTINCT feedback.text, feedback.reviewed_by = '' FROM experiments_feedback AS feedback
        CROSS JOIN {SLATE_OF_FEEDBACK}
    WHERE feedback.project_id = %(project)s AND slate.surface_id = %(surface)s
        AND feedback.kind = 'correction' AND feedback.item_id = ''
        AND {counts_now("feedback")} AND (feedback.trusted OR feedback.reviewed_by <> '')"""


def labels_of_surface(surface: Surface) -> frozenset[str]:
    """Return the folded labels that corrections of a surface may name and be learnt."""
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, {"surface": surface.pk, "project": surface.project_id})
        rows = cursor.fetchall()
    return known_labels(
        surface.labels,
        [label for label, trusted in rows if trusted],
        [label for label, trusted in rows if not trusted],
    )
