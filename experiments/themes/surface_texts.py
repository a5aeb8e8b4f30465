"""What users of a surface wrote: redacted as it is stored, and only what counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

from experiments.sql import counts_now, free_text, has_free_text, is_excluded

if TYPE_CHECKING:
    from datetime import datetime

    from inference.models import Surface

MAX_TEXTS = 5000  # the newest: grouped in seconds, and 7.5 MB of vectors of an encoder of width 384
MAX_OF_UNIT = 5  # the newest: a busy user is one voice among many
# The newest of a project, where a surface without a reading looks for its first ones, every 5 minutes.
MAX_LOOKED_AT = 4 * MAX_TEXTS
# Comments on slates and generations, and answers to surveys in users' own words. What came up to
# `after` is not read at all: a bound outside of the window would read all of a project's texts first.
_MATCHING = f"""
        CROSS JOIN LATERAL (SELECT 1 FROM experiments_slate AS one
            WHERE one.recommendation_id = feedback.recommendation_id
                AND one.project_id = feedback.project_id AND one.surface_id = %(surface)s LIMIT 1
            ) AS slate
        WHERE feedback.project_id = %(project)s AND {has_free_text("feedback")}
            AND feedback.id > %(after)s
            AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}"""
# The newest first, so that the bounds leave out old ones.
_TEXTS = f"""
    SELECT id, unit_id, text, received_at FROM (
        SELECT feedback.id, feedback.unit_id, {free_text("feedback")} AS text, feedback.received_at,
            row_number() OVER (PARTITION BY feedback.unit_id ORDER BY feedback.id DESC) AS place
        FROM experiments_feedback AS feedback {_MATCHING}
    ) AS own WHERE place <= {MAX_OF_UNIT} ORDER BY id DESC LIMIT {MAX_TEXTS}"""
_COUNT = f"SELECT count(*) FROM ({_TEXTS}) AS texts"
_FIRST = f"""
    SELECT count(*) FROM (SELECT 1 FROM (
        SELECT * FROM experiments_feedback AS own
        WHERE project_id = %(project)s AND {has_free_text("own")}
        ORDER BY id DESC LIMIT {MAX_LOOKED_AT}) AS feedback {_MATCHING} LIMIT %(count)s) AS texts"""


@dataclass(frozen=True, slots=True)
class SurfaceText:
    """A text of feedback.

    Attributes:
        pk: of the feedback.
        unit_id: who wrote it.
        text: redacted.
        at: when it came.
    """

    pk: int
    unit_id: str
    text: str
    at: datetime


def newest_texts(surface: Surface) -> list[SurfaceText]:
    """Return the newest texts that users of a surface wrote, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, _parameters(surface))
        return [SurfaceText(*row) for row in reversed(cursor.fetchall())]


def count_texts(surface: Surface, *, after: int = 0) -> int:
    """Return how many texts a reading of a surface would have.

    Args:
        surface: whose.
        after: only those whose feedback has a higher key.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, _parameters(surface, after=after))
        return int(cursor.fetchone()[0])


def has_texts(surface: Surface, count: int) -> bool:
    """Whether users wrote so many texts, of those that the project's newest ones are; stops there.

    All texts of a user are counted: one who wrote many may bring a reading that has fewer.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, _parameters(surface) | {"count": count})
        return int(cursor.fetchone()[0]) >= count


def _parameters(surface: Surface, *, after: int = 0) -> dict[str, int]:
    return {"project": surface.project_id, "surface": surface.pk, "after": after}
