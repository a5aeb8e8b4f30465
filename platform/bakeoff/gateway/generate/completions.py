"""What providers answer: completions and chunks of them, read with care, since anything may come."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway.generate.reasons import EMPTY, MODEL_ERROR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MAX_COUNT = 10**9  # of tokens; more is a provider's mistake
MAX_FINISH_REASON = 40
DONE = b"[DONE]"
# About as a tokenizer splits: words, numbers of up to three digits, runs of signs, single characters of
# scripts without blanks. Long words are several tokens.
_PIECES = re.compile(r"[^\W\d_\u2e80-\uffff]+|\d{1,3}|[\u2e80-\uffff]|[^\w\s]+|_+")
CHARACTERS_PER_TOKEN = 6


class WrongAnswerError(Exception):
    """An answer that cannot be used; `reason` is the attempt's."""

    def __init__(self, reason: str, message: str = "") -> None:
        """Keep the reason beside the message."""
        super().__init__(message or reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of an answer.

    Attributes:
        tokens_in: of the messages.
        tokens_out: of the answer.
        tokens_cached: of the messages, those that the provider still had.
    """

    tokens_in: int
    tokens_out: int
    tokens_cached: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it in OpenAI's shape."""
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": self.tokens_in + self.tokens_out,
            "prompt_tokens_details": {"cached_tokens": self.tokens_cached},
        }


def read_usage(data: Any) -> Usage | None:
    """Return the tokens that a provider states; None where it states none, or what cannot be."""
    if not isinstance(data, dict):
        return None
    tokens_in, tokens_out = _count(data.get("prompt_tokens")), _count(data.get("completion_tokens"))
    if tokens_in is None or tokens_out is None:
        return None
    details = data.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(tokens_in, tokens_out, min(cached or 0, tokens_in))


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= MAX_COUNT else None


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has, where the provider does not say."""
    return sum(1 + (len(piece) - 1) // CHARACTERS_PER_TOKEN for piece in _PIECES.findall(text))


def text_of(message: Any) -> str:
    """Return the text of a message: its content, or the texts among its parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


@dataclass(slots=True)
class Assembled:
    """An answer put together: of a completion at once, of a stream chunk by chunk; the first choice.

    Attributes:
        finish_reason: of the first choice.
        usage: as the provider states it.
        refusal: its text.
        has_token: whether anything came that is an answer's.
        length: characters of the text.
    """

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage | None = None
    has_token: bool = False
    length: int = 0

    @property
    def text(self) -> str:
        """What was written."""
        return "".join(self.content)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that a person could use."""
        return not (self.text.strip() or self.calls or self.refusal)

    def cut(self, over: int) -> None:
        """Leave out the last characters of the text."""
        self.content = [self.text[: self.length - over]]
        self.length -= over

    def message(self) -> dict[str, Any]:
        """Return the message as it is stored."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls:
            message["tool_calls"] = [self.calls[place] for place in sorted(self.calls)]
        if self.refusal:
            message["refusal"] = "".join(self.refusal)
        return message

    def add_chunk(self, chunk: dict[str, Any]) -> None:
        """Add a chunk of a stream."""
        if (usage := read_usage(chunk.get("usage"))) is not None:
            self.usage = usage
        for choice in _objects(chunk.get("choices")):
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._add(delta, is_first=choice.get("index", 0) == 0)
            self._finish(choice)

    def add_completion(self, completion: dict[str, Any]) -> None:
        """Add a whole completion."""
        self.usage = read_usage(completion.get("usage"))
        for choice in _objects(completion.get("choices")):
            message = choice.get("message")
            if isinstance(message, dict):
                self._add(message, is_first=choice.get("index", 0) == 0)
            self._finish(choice)

    def _finish(self, choice: dict[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and self.finish_reason is None:
            self.finish_reason = reason[:MAX_FINISH_REASON]

    def _add(self, part: dict[str, Any], *, is_first: bool) -> None:
        content, refusal = part.get("content"), part.get("refusal")
        calls = _objects(part.get("tool_calls"))
        # A model that thinks aloud is not silent, though this is not its answer.
        thought = part.get("reasoning_content") or part.get("reasoning")
        if content or refusal or calls or thought:
            self.has_token = True
        if not is_first:  # of several choices one is stored
            return
        if isinstance(content, str) and content:
            self.content.append(content)
            self.length += len(content)
        if isinstance(refusal, str) and refusal:
            self.refusal.append(refusal)
        for place, call in enumerate(calls):
            self._add_call(call, call.get("index", place))

    def _add_call(self, call: dict[str, Any], place: Any) -> None:
        place = place if isinstance(place, int) and 0 <= place < 1000 else len(self.calls)
        known = self.calls.setdefault(
            place,
            {
                "id": str(call.get("id") or "")[:200],
                "type": "function",
                "function": {"name": "", "arguments": ""},
            },
        )
        function = call.get("function")
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                if isinstance(function.get(name), str):
                    known["function"][name] += function[name]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def read_completion(raw: bytes) -> tuple[dict[str, Any], Assembled]:
    """Return a completion and what it says.

    Raises:
        WrongAnswerError: it is none, or it is empty.
    """
    data = _parse(raw)
    assembled = Assembled()
    assembled.add_completion(data)
    if not _objects(data.get("choices")):
        raise WrongAnswerError(MODEL_ERROR, "the answer has no choices.")
    if assembled.is_empty:
        raise WrongAnswerError(EMPTY)
    return data, assembled


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(raw)  # also refuses what is not UTF-8
    except orjson.JSONDecodeError as error:
        raise WrongAnswerError(MODEL_ERROR, f"the answer is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise WrongAnswerError(MODEL_ERROR, "the answer is no JSON object.")
    return data


async def read_chunks(parts: AsyncIterator[bytes]) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the chunks of a stream of server-sent events as they come together, to `[DONE]` or its end.

    Raises:
        WrongAnswerError: a chunk is none, or says that the provider failed.
    """
    waiting: list[bytes] = []
    async for part in parts:
        # Joined once there is a whole line: a line that never ends would be copied for each part.
        waiting.append(part)
        if b"\n" not in part:
            continue
        *lines, rest = b"".join(waiting).split(b"\n")
        waiting = [rest]
        events = _data_of(lines)
        chunks, error = _chunks_of(events)
        if chunks:
            yield chunks
        if error is not None:
            raise error
        if DONE in events:
            return


def _chunks_of(events: Sequence[bytes]) -> tuple[list[dict[str, Any]], WrongAnswerError | None]:
    """Return the chunks up to the stream's end, or up to what is none, and what is wrong with that."""
    chunks: list[dict[str, Any]] = []
    for data in events:
        if data == DONE:
            break
        try:
            chunks.append(_chunk(data))
        except WrongAnswerError as error:
            return chunks, error
    return chunks, None


def _chunk(data: bytes) -> dict[str, Any]:
    chunk = _parse(data)
    if chunk.get("error"):
        raise WrongAnswerError(MODEL_ERROR, "the provider ended its stream with an error.")
    return chunk


def _data_of(lines: Sequence[bytes]) -> list[bytes]:
    return [line[5:].strip() for line in lines if line.startswith(b"data:") and line[5:].strip()]
