"""Preferences between generated answers, from what users did with them.

Of one answer one piece of feedback counts: a correction, else an edit, else a thumb, else that it was
accepted. A corrected or edited text is better than the answer that it was made from; an accepted answer
is good; of one conversation, an answer with a thumb up is better than another with a thumb down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django.db import connection

from experiments.sql import counts_now, is_excluded
from experiments.training_data.examples import SLATE_OF_FEEDBACK
from inference.training.preferences import conversation_key
from inference.training.snapshot import Preferences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference.models import Surface

MAX_ANSWERS = 50_000  # the newest
# Texts that anybody could send with a page's key are learnt from when a reviewer has passed them.
LEARNABLE_ANSWERS = f"""
        SELECT DISTINCT ON (slate.recommendation_id) slate.recommendation_id, feedback.unit_id,
            slate.model_version_id, slate.context -> 'variables' AS variables,
            slate.context -> 'messages' AS messages, slate.context -> 'answer' ->> 'content' AS answer,
            feedback.kind, coalesce(feedback.value, 0) AS value, feedback.text,
            extract(epoch FROM feedback.received_at)::float8 AS at
        FROM experiments_feedback AS feedback CROSS JOIN {SLATE_OF_FEEDBACK}
        WHERE feedback.project_id = %(project)s AND slate.surface_id = %(surface)s
            AND slate.context ? 'answer' AND NOT slate.context ? 'shortened'
            AND slate.trainable AND feedback.trainable
            AND {counts_now("feedback")} AND feedback.item_id = ''
            AND feedback.kind IN ('correction', 'edit', 'thumb', 'accept')
            AND (feedback.kind IN ('thumb', 'accept') OR feedback.trusted OR feedback.reviewed_by <> '')
            AND NOT {is_excluded("feedback")}
        ORDER BY slate.recommendation_id,
            array_position(ARRAY['correction', 'edit', 'thumb', 'accept'], feedback.kind::text),
            feedback.received_at DESC, feedback.feedback_id"""
_ANSWERS = f"""
    SELECT unit_id, messages, answer, kind, value, text, at FROM ({LEARNABLE_ANSWERS}) AS answers
    ORDER BY at DESC, recommendation_id DESC LIMIT {MAX_ANSWERS}"""


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer and what was done with it.

    Attributes:
        unit_id: who did it.
        messages: as they were sent to the model.
        answer: that it gave.
        kind: correction, edit, thumb or accept.
        value: of a thumb.
        text: of a correction or an edit.
        at: when, in seconds.
    """

    unit_id: str
    messages: list[dict[str, Any]]
    answer: str
    kind: str
    value: float
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the snapshot."""

    judged: JudgedAnswer
    chosen: str
    rejected: str = ""
    rejected_by: str = ""


def preferences_of(surface: Surface) -> Preferences:
    """Return the answers of a surface that may be learnt from, ordered by time."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, {"surface": surface.pk, "project": surface.project_id})
        rows = cursor.fetchall()
    return preferences_among(
        JudgedAnswer(unit, orjson.loads(messages), answer or "", kind, value, text, at)
        for unit, messages, answer, kind, value, text, at in reversed(rows)
    )


def preferences_among(answers: Iterable[JudgedAnswer]) -> Preferences:
    """Return what judged answers, ordered by time, say of each other."""
    rows: list[_Row] = []
    liked: dict[str, list[JudgedAnswer]] = {}
    disliked: dict[str, list[JudgedAnswer]] = {}
    unreadable = 0
    for one in answers:
        if not one.answer.strip() or not _is_text(one.messages):
            unreadable += 1
        elif one.kind in {"correction", "edit"}:
            changed = "".join(one.text.split()) != "".join(one.answer.split())
            rows.append(_Row(one, one.text, one.answer if changed else ""))
        else:
            side = liked if one.kind == "accept" or one.value > 0 else disliked
            side.setdefault(conversation_key(one.messages), []).append(one)
    for key, good in liked.items():
        rows += _paired(good, disliked.get(key, []))
    rows = sorted((row for row in rows if row.chosen.strip()), key=lambda row: row.judged.at)
    return _as_columns(rows, unreadable)


def _is_text(messages: object) -> bool:
    return isinstance(messages, list) and all(
        isinstance(one, dict) and isinstance(one.get("content"), str) for one in messages
    )


def _paired(good: list[JudgedAnswer], bad: list[JudgedAnswer]) -> list[_Row]:
    """Return each good answer, with a bad one of the same conversation as long as there are any."""
    rest = list(bad)
    rows = []
    for one in good:
        worse = next((other for other in rest if other.answer.strip() != one.answer.strip()), None)
        if worse is None:
            rows.append(_Row(one, one.answer))
            continue
        rest.remove(worse)
        other_unit = worse.unit_id if worse.unit_id != one.unit_id else ""
        rows.append(_Row(one, one.answer, worse.answer, other_unit))
    return rows


def _as_columns(rows: list[_Row], unreadable: int) -> Preferences:
    skipped = f"{unreadable} answers were set aside: they have no text, or not text alone."
    return Preferences(
        unit_ids=[row.judged.unit_id for row in rows],
        messages=[row.judged.messages for row in rows],
        chosen=[row.chosen for row in rows],
        rejected=[row.rejected for row in rows],
        rejected_unit_ids=[row.rejected_by for row in rows],
        sources=[row.judged.kind for row in rows],
        preferred_at=[row.judged.at for row in rows],
        notes=[skipped] if unreadable else [],
    )
