"""What is looked at before a model is asked and before its answer is given; each find is counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

from bakeoff.gateway.generate.completions import text_of
from bakeoff.gateway.http.errors import ApiError
from experiments.ingest.redact import redact
from inference.serving.json_schemas import fits

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from inference.serving.generate_settings import Guardrails
    from inference.serving.prompts import Checks

BLOCKED_IN, BLOCKED_OUT = "blocked_term_in", "blocked_term_out"
REDACTED_IN, REDACTED_OUT = "redacted_in", "redacted_out"
TOO_LONG, SCHEMA = "max_length", "json_schema"
CONTENT_FILTER = "content_filter"  # OpenAI's reason of an answer that was taken back


@lru_cache(maxsize=256)
def _pattern(terms: tuple[str, ...]) -> Any:
    """Return what finds terms, whatever their case; RE2: linear in the text, however many there are."""
    words = "|".join(re2.escape(term) for term in terms if term.isascii())
    # Scripts without blanks have no words to stand alone.
    others = "|".join(re2.escape(term) for term in terms if not term.isascii())
    alone = rf"(?:^|[^\pL\pN])(?:{words})(?:$|[^\pL\pN])" if words else ""
    return re2.compile("(?i)" + "|".join(one for one in (alone, others) if one))


@dataclass(frozen=True, slots=True)
class Rules:
    """The guardrails of a surface together with the checks of a version."""

    guardrails: Guardrails
    checks: Checks

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms that neither messages nor answers may have."""
        return self.guardrails.blocked_terms + self.checks.blocked_terms

    @property
    def hold_back(self) -> bool:
        """Whether an answer is given only when all of it has been looked at."""
        out = "out" in self.guardrails.redact
        return bool(self.guardrails.blocked_terms) or out or self.checks.need_whole_answer

    @property
    def need_one_choice(self) -> bool:
        """Whether a request may ask for one answer only: the first is looked at."""
        return self.hold_back or self.checks.max_length is not None

    def redacts(self, direction: str) -> bool:
        """Whether personal data are taken out on the way in or out."""
        return direction in self.guardrails.redact or direction in self.checks.redact


def check_messages(
    messages: Sequence[dict[str, Any]], rules: Rules, counts: Counter[str]
) -> list[dict[str, Any]]:
    """Return the messages as they may be sent. Takes a while: not in an event loop.

    Raises:
        ApiError: 400, they are too long or have a blocked term.
    """
    texts = [text_of(message) for message in messages]
    length = sum(map(len, texts))
    if length > rules.guardrails.max_input_length:
        counts["max_input_length"] += 1
        limit = rules.guardrails.max_input_length
        raise ApiError(
            400,
            "context_length_exceeded",
            f"messages == {length} characters, must be at most {limit}.",
            field="messages",
        )
    if rules.terms and any(_pattern(rules.terms).search(text) for text in texts):
        counts[BLOCKED_IN] += 1
        raise ApiError(
            400, CONTENT_FILTER, "messages have a term that this surface blocks.", field="messages"
        )
    if not rules.redacts("in"):
        return list(messages)
    return [_redacted(message, counts) for message in messages]


def _redacted(message: dict[str, Any], counts: Counter[str]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": _without_personal_data(content, counts, REDACTED_IN)}
    if not isinstance(content, list):
        return message
    parts = [
        {**part, "text": _without_personal_data(part["text"], counts, REDACTED_IN)}
        if isinstance(part.get("text"), str)
        else part
        for part in content
    ]
    return {**message, "content": parts}


def _without_personal_data(text: str, counts: Counter[str], name: str) -> str:
    text, kinds = redact(text)
    if kinds:
        counts[name] += 1
    return text


@dataclass(frozen=True, slots=True)
class CheckedText:
    """An answer's text as it may be given.

    Attributes:
        text: what is given.
        finish_reason: in place of the model's; None: the model's.
        schema_ok: whether it fits the version's schema; None where there is none.
    """

    text: str
    finish_reason: str | None = None
    schema_ok: bool | None = None


def check_answer(text: str, rules: Rules, counts: Counter[str]) -> CheckedText:
    """Return an answer as it may be given. Takes a while: not in an event loop."""
    if rules.terms and _pattern(rules.terms).search(text):
        counts[BLOCKED_OUT] += 1
        return CheckedText("", CONTENT_FILTER)
    schema_ok = None
    if rules.checks.json_schema is not None:
        schema_ok = fits(rules.checks.json_schema, text)
        if not schema_ok:
            counts[SCHEMA] += 1
    if rules.redacts("out"):
        text = _without_personal_data(text, counts, REDACTED_OUT)
    max_length = rules.checks.max_length
    if max_length is not None and len(text) > max_length:
        counts[TOO_LONG] += 1
        return CheckedText(text[:max_length], "length", schema_ok)
    return CheckedText(text, None, schema_ok)
