"""`POST /v1/feedback`: one piece of feedback, bound to its slate. Each kind has a value of its own."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http.errors import ApiError, invalid, not_found
from bakeoff.gateway.http.fields import number, one_of
from bakeoff.gateway.intake.recent_items import ItemAction
from bakeoff.gateway.intake.requests import NUMBERS
from experiments.bounds import MAX_ID
from experiments.ingest.redact import redact
from experiments.ingest.rows import FeedbackRow, Rows
from experiments.survey_question import MAX_ANSWER, TEXT, SurveyError
from inference.serving.edit_distance import edit_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.config.serving_config import KeyConfig
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.http.text_threads import TextThreads
    from bakeoff.gateway.intake.answer_lookup import AnswerLookup
    from bakeoff.gateway.intake.group_commit import CommitResult, GroupCommit
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.recent_items import RecentItems
    from bakeoff.gateway.intake.requests import FeedbackRequest
    from bakeoff.gateway.intake.surveyed_units import SurveyedUnits
    from experiments.survey_question import SurveyQuestion

ANSWERS = ("a", "b", "tie", "neither")
MAX_TEXT = 4000
MAX_EDIT = 20_000  # a whole answer, as it was used
MAX_TAGS = 20
MAX_TAG = 64
GENERATE = "generate"  # the surfaces whose answers are recorded when they have ended
# Who stops an answer says so at once, maybe to another process, before the end of it is recorded.
ENDING_SECONDS = (0.05, 0.2, 0.75, 2.0)
MAX_GENERATION_SECONDS = 3600.0  # clocks of two machines differ, too
# Tab, line feed and carriage return are writing; the others are not, nor are bidirectional overrides.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class FeedbackHandler:
    """Takes feedback; one in a process."""

    def __init__(
        self,
        writer: GroupCommit,
        identity: IdentityResolver,
        recent: RecentItems,
        text_threads: TextThreads,
        answers: AnswerLookup,
        surveyed: SurveyedUnits,
    ) -> None:
        """Remember where to write, who knows units and answers, and where long texts are redacted."""
        self._surveyed = surveyed
        self._writer, self._identity = writer, identity
        self._recent, self._text_threads, self._answers = recent, text_threads, answers

    async def answer(self, call: Call, request: FeedbackRequest) -> bytes:
        """Store one piece of feedback.

        Raises:
            ApiError: a value does not fit its kind, the slate is unknown, or nothing can be stored.
        """
        caller = call.caller
        consent = caller.limit(request.consent)
        surveys = call.config.surveys.get(caller.key.project_id, {})
        row = feedback_row(caller.key, request, trainable=consent.training, surveys=surveys)
        if not consent.analytics:
            return _body(row, accepted=0, duplicates=0, durability="committed")
        caller.spend_on([request.ids])
        if row.answer:
            row.answer, row.redacted = await self._text_threads.run(partial(redact, row.answer))
        if row.kind in {"text", "edit"}:  # a long one takes a tenth of a second
            row.text, row.redacted = await self._text_threads.run(partial(redact, row.text))
        if row.kind == "edit" and not row.withdrawn:
            row.value = await self._edit_share(row)
        # A request that can still be refused links no ids.
        (row.unit_id,) = await self._identity.units(
            call.config, row.project_id, [request.ids], may_link=False
        )
        surfaces = call.config.surfaces.get(row.project_id, {}).values()
        generates = any(surface.kind == GENERATE for surface in surfaces)
        result = await self._commit(row, caller.key.project, generates=generates)
        accepted = 1
        if result.committed is not None:
            accepted = int((row.project_id, row.feedback_id) in result.committed.feedback)
        at = datetime.fromisoformat(row.received_at).timestamp()
        name = f"feedback.{row.kind}"
        action = ItemAction(row.unit_id, row.item_id, name, row.value, at, row.withdrawn)
        await self._recent.note(call.config, row.project_id, [action])
        await self._surveyed.note_answer(call.config, row)
        return _body(row, accepted=accepted, duplicates=1 - accepted, durability=result.durability)

    async def _edit_share(self, row: FeedbackRow) -> float | None:
        """Return how much of the answer was changed; None where it is not stored, or cannot be read."""
        answer = await self._answers.find(row.project_id, row.recommendation_id)
        if answer is None:
            return None
        return await self._text_threads.run(partial(edit_share, answer, row.text))

    async def _commit(self, row: FeedbackRow, project: str, *, generates: bool) -> CommitResult:
        """Commit a row whose slate exists.

        Args:
            row: that is still to be bound to its slate.
            project: its slug.
            generates: whether it may be of a generation, whose record comes when it has ended.

        Raises:
            ApiError: 404, the project has no such slate.
        """
        rows, name = Rows(feedback=[row]), (row.project_id, row.feedback_id)
        result = await self._writer.commit(rows)
        waits = ENDING_SECONDS if generates and _is_recent(row.recommendation_id) else ()
        for seconds in waits:
            if result.committed is None or name in result.committed.bound:
                break
            await asyncio.sleep(seconds)
            result = await self._writer.commit(rows)
        if result.committed is not None and name not in result.committed.bound:
            result = await self._writer.commit_in_order(rows)  # its slate may be spilled
        if result.committed is not None and name not in result.committed.bound:
            raise ApiError(
                404,
                "unknown_recommendation",
                f"recommendation_id == {row.recommendation_id}, not found in project '{project}'.",
                field="recommendation_id",
            )
        return result


def _is_recent(recommendation_id: str) -> bool:
    """Whether an id was made while a generation that began then may still run."""
    name = UUID(recommendation_id)
    if name.version != 7:
        return False
    age = time.time() - (name.int >> 80) / 1000  # its first 48 bits are milliseconds since 1970
    return abs(age) <= MAX_GENERATION_SECONDS


def _body(row: FeedbackRow, *, accepted: int, duplicates: int, durability: str) -> bytes:
    return orjson.dumps(
        {
            "accepted": accepted,
            "duplicates": duplicates,
            "redacted": row.redacted,
            "durability": durability,
        }
    )


def feedback_row(
    key: KeyConfig,
    request: FeedbackRequest,
    *,
    trainable: bool,
    surveys: Mapping[str, SurveyQuestion],
) -> FeedbackRow:
    """Return the row, whose unit is still to be found, and whose free text to be redacted.

    Raises:
        ApiError: the value does not fit the kind, or the project has no such survey.
    """
    row = FeedbackRow(
        project_id=key.project_id,
        feedback_id=request.feedback_id or str(uuid7()),
        recommendation_id=request.recommendation_id,
        item_id=request.item_id or "",
        unit_id="",
        kind=request.kind,
        value=None,
        text="",
        tags=[],
        redacted=[],
        withdrawn=request.withdrawn,
        trainable=trainable,
        state="pending" if request.kind == "text" else "ok",
        received_at=datetime.now(UTC).isoformat(),
        trusted=key.kind == SECRET,
    )
    if row.withdrawn:
        return row
    if row.kind == "survey":
        _read_answer(row, request.value, surveys, key.project)
    else:
        _read_value(row, request.value)
    return row


def _read_answer(
    row: FeedbackRow, value: Any, surveys: Mapping[str, SurveyQuestion], project: str
) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("survey"), str):
        raise invalid("value", value, "an object with survey and answer for a survey")
    survey = surveys.get(value["survey"])
    if survey is None:
        raise not_found("survey", value["survey"], project, surveys)
    row.text = survey.key
    if survey.kind == TEXT:
        row.answer, row.state = _text(value.get("answer"), MAX_ANSWER, "value.answer"), "pending"
        return
    try:
        row.value, row.tags = survey.read(value.get("answer"))
    except SurveyError as error:
        raise invalid("value.answer", value.get("answer"), error.rule) from error


def _read_value(row: FeedbackRow, value: Any) -> None:
    if row.kind in NUMBERS:
        row.value = _number(row.kind, value)
    elif row.kind == "reasons":
        row.tags = _tags(value)
    elif row.kind == "text":
        row.text = _text(value, MAX_TEXT)
    elif row.kind == "edit":
        row.text = _text(value, MAX_EDIT)
    elif row.kind == "correction":
        row.text = _text(value, MAX_ID)
    elif row.kind == "pairwise":
        row.text = one_of(ANSWERS)(value, "value")
    else:
        row.value = 1.0  # hide, regenerate, copy, abandon and accept say all with their kind


def _number(kind: str, value: Any) -> float:
    allowed = NUMBERS[kind]
    if value is None or number(value, "value") not in allowed:
        raise invalid("value", value, f"one of {allowed} for a {kind}")
    return float(value)


def _text(value: Any, max_length: int, field: str = "value") -> str:
    # Blanks around a text do not count, but may not be sent by the megabyte.
    fits = isinstance(value, str) and len(value) <= 2 * max_length
    if not fits or not 1 <= len(value.strip()) <= max_length:
        length = f"{len(value)} characters" if isinstance(value, str) else value
        raise invalid(field, length, f"a text of 1 to {max_length} characters")
    if control := _CONTROL.search(value):
        shown = f"U+{ord(control.group()):04X}"
        raise invalid(field, shown, "a text without control characters")
    return str(value.strip())


def _tags(value: Any) -> list[str]:
    rule = f"a list of 1 to {MAX_TAGS} tags of 1 to {MAX_TAG} characters"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TAGS:
        raise invalid("value", value, rule)
    for tag in value:
        if not isinstance(tag, str) or not 1 <= len(tag) <= MAX_TAG or _CONTROL.search(tag):
            raise invalid("value", tag, rule)
    return list(dict.fromkeys(value))
