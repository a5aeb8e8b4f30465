"""Past answers with what users and judges made of them: what a search for a better prompt reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django.db import connection

from experiments.sql import has_answer, is_excluded
from experiments.training_data.preferences import LEARNABLE_ANSWERS

if TYPE_CHECKING:
    from uuid import UUID

    from inference.models import Surface

MAX_ANSWERS = 200  # the newest; a search reads a few for each proposal
MAX_TEXT = 4000  # characters of what a user wrote instead
_FEEDBACK = f"""
    SELECT recommendation_id, unit_id, model_version_id, messages, variables, answer, kind, value,
        text, at
    FROM ({LEARNABLE_ANSWERS}) AS answers
    ORDER BY at DESC, recommendation_id DESC LIMIT {MAX_ANSWERS}"""
_JUDGED = f"""
    SELECT slate.recommendation_id, slate.unit_id, slate.model_version_id,
        slate.context -> 'messages' AS messages, slate.context -> 'variables' AS variables,
        slate.context -> 'answer' ->> 'content' AS answer, 'judge' AS kind, judged.score AS value,
        judged.rationale AS text, extract(epoch FROM judged.at)::float8 AS at
    FROM experiments_judgement AS judged CROSS JOIN LATERAL (
        SELECT slate.* FROM experiments_slate AS slate
        WHERE slate.recommendation_id = judged.generation_id AND slate.project_id = judged.project_id
        OFFSET 0) AS slate
    WHERE judged.surface_id = %(surface)s AND judged.shadow_id IS NULL AND judged.score IS NOT NULL
        AND slate.trainable AND {has_answer("slate")} AND NOT slate.context ? 'shortened'
        AND NOT {is_excluded("slate")}
    ORDER BY judged.at DESC, judged.id DESC LIMIT {MAX_ANSWERS}"""


@dataclass(frozen=True, slots=True)
class CommentedAnswer:
    """A past answer.

    Attributes:
        unit_id: whose request it was.
        version_id: that answered, or None.
        messages: as they were sent to the model.
        variables: of the version's templates.
        answer: its text.
        comment: what users and judges made of it, in sentences.
        at: when they did, in seconds.
    """

    unit_id: str
    version_id: int | None
    messages: list[dict[str, Any]]
    variables: dict[str, Any]
    answer: str
    comment: str
    at: float


def commented_answers(surface: Surface) -> list[CommentedAnswer]:
    """Return the newest answers that may be learnt from and have comments, oldest first."""
    every: dict[UUID, CommentedAnswer] = {}
    with connection.cursor() as cursor:
        for query in (_FEEDBACK, _JUDGED):
            cursor.execute(query, {"surface": surface.pk, "project": surface.project_id})
            for key, unit, version, messages, variables, answer, *comment_fields in cursor.fetchall():
                kind, value, text, at = comment_fields
                comment = _sentence(kind, value, text)
                if key in every:
                    comment = f"{every[key].comment} {comment}"
                every[key] = CommentedAnswer(
                    unit, version, orjson.loads(messages), orjson.loads(variables or "{}") or {},
                    answer or "", comment, at,
                )  # fmt: skip
    return sorted(every.values(), key=lambda one: one.at)[-MAX_ANSWERS:]


def _sentence(kind: str, value: float, text: str) -> str:
    match kind:
        case "edit" | "correction":
            return f"A person wrote this instead: {text[:MAX_TEXT]}"
        case "judge":
            return f"A judge gave it {value:.2f} of 1. {text[:MAX_TEXT]}".strip()
        case "accept":
            return "A user accepted it."
    return "A user gave it a thumb up." if value > 0 else "A user gave it a thumb down."
