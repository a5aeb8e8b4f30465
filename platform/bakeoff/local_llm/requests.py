"""A request for a chat completion: which of its fields reach the engine.

The engine knows many more fields than OpenAI's protocol (slots, adapters, grammars); only those below
are handed on, and the engine checks their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.local_llm.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSED = (
    "messages", "temperature", "top_p", "seed", "stop", "n", "tools", "tool_choice",
    "parallel_tool_calls", "response_format", "logprobs", "top_logprobs", "presence_penalty",
    "frequency_penalty", "logit_bias",
)  # fmt: skip
MAX_MESSAGES = 1000
MAX_CHOICES = 8


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is wanted.

    Attributes:
        model: name or hash.
        fields: for the engine.
        streams: whether the answer comes in chunks.
        wants_usage: whether a stream ends with a chunk of token counts.
    """

    model: str
    fields: Mapping[str, Any]
    streams: bool = False
    wants_usage: bool = False

    @classmethod
    def parse(cls, body: bytes, *, max_tokens: int) -> ChatRequest:
        """Read a body.

        Args:
            body: JSON.
            max_tokens: of an answer; a request may ask for fewer.

        Raises:
            ApiError: it breaks a rule, which the message names.
        """
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ApiError.invalid(f"the body is no JSON: {error}.", code="invalid_json") from error
        if not isinstance(data, dict):
            raise ApiError.invalid("the body must be a JSON object.")
        if not isinstance(data.get("model"), str):
            raise ApiError.invalid("model must be a string.")
        _check_messages(data.get("messages"))
        choices = _whole(data, "n", 1, MAX_CHOICES)
        wanted = min(_token_limit(data, max_tokens), max_tokens)
        options = data.get("stream_options")
        fields = {name: data[name] for name in PASSED if data.get(name) is not None}
        return cls(
            model=data["model"],
            fields={**fields, "n": choices, "max_tokens": wanted},
            streams=data.get("stream") is True,
            wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        raise ApiError.invalid(f"messages must be a list of 1 to {MAX_MESSAGES} messages.")
    if not all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages):
        raise ApiError.invalid("each of messages must be an object with a role.")


def _token_limit(data: Mapping[str, Any], max_tokens: int) -> int:
    name = "max_completion_tokens" if data.get("max_completion_tokens") is not None else "max_tokens"
    return _whole(data, name, max_tokens, 2**31 - 1)


def _whole(data: Mapping[str, Any], name: str, default: int, maximum: int) -> int:
    value = data.get(name)
    if value is None:
        return default
    if type(value) is not int or not 1 <= value <= maximum:
        raise ApiError.invalid(f"{name} == {value!r:.50}, must be a whole number in [1, {maximum}].")
    return value
