"""What clients get: completions and chunks in OpenAI's shape, with the platform's fields."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.generate.completions import Usage
    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.http.routes import Headers
    from bakeoff.gateway.slates.choose_version import ChosenVersion

DONE = b"data: [DONE]\n\n"


def event(data: Mapping[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


@dataclass(frozen=True, slots=True)
class AnswerWriter:
    """Writes the answer of one generation.

    Attributes:
        generation: what is answered.
        chosen: by which version.
        surface: the model's name, to clients.
        include_usage: whether a stream ends with its tokens.
    """

    generation: Generation
    chosen: ChosenVersion
    surface: str
    include_usage: bool

    def fields(self) -> dict[str, Any]:
        """Return what the platform says of an answer."""
        chosen = self.chosen
        return {
            "generation_id": self.generation.generation_id,
            "experiment": chosen.experiment.key if chosen.experiment else None,
            "variant": chosen.variant,
            "version": chosen.version.label if chosen.version else None,
            "reason": chosen.reason,
            "fallback": self.generation.fallback,
        }

    def headers(self) -> Headers:
        """Return the same as headers, which a client can read without the body."""
        return [
            (f"x-bakeoff-{name.replace('_', '-')}".encode(), quote(str(value)).encode())
            for name, value in self.fields().items()
            if value is not None
        ]

    def _named(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.generation.generation_id,
            "object": kind,
            "created": int(time.time()),
            "model": self.surface,
        }

    def completion(self, message: Mapping[str, Any], finish_reason: str, usage: Usage | None) -> bytes:
        """Return a whole answer that the platform writes itself."""
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        counted = usage.as_json() if usage else None
        named = self._named("chat.completion")
        return orjson.dumps({**named, "choices": [choice], "usage": counted, "bakeoff": self.fields()})

    def passed_on(self, completion: Mapping[str, Any], usage: Usage | None) -> bytes:
        """Return a provider's whole answer: all that it says, under the platform's names."""
        body = {**completion, **self._named("chat.completion"), "bakeoff": self.fields()}
        if body.get("usage") is None and usage is not None:
            body["usage"] = usage.as_json()
        return orjson.dumps(body)

    def chunk(self, chunk: Mapping[str, Any], *, is_first: bool) -> bytes:
        """Return a provider's chunk as an event; nothing, of one that has only tokens."""
        if not chunk.get("choices"):
            return b""
        body = {**chunk, **self._named("chat.completion.chunk")}
        body.pop("usage", None)
        if is_first:
            body["bakeoff"] = self.fields()
        return event(body)

    def whole(self, message: Mapping[str, Any], finish_reason: str) -> bytes:
        """Return the events of an answer that is there at once."""
        named = self._named("chat.completion.chunk")
        delta = {**message, "tool_calls": _with_places(message.get("tool_calls"))}
        first = {"index": 0, "delta": {k: v for k, v in delta.items() if v is not None}}
        last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": finish_reason}
        return event(
            {**named, "choices": [{**first, "finish_reason": None}], "bakeoff": self.fields()}
        ) + event({**named, "choices": [last]})

    def usage(self, usage: Usage | None) -> bytes:
        """Return the event with the tokens, where the client wants it."""
        if not self.include_usage or usage is None:
            return b""
        named = self._named("chat.completion.chunk")
        return event({**named, "choices": [], "usage": usage.as_json()})


def _with_places(calls: Any) -> list[dict[str, Any]] | None:
    return [{**call, "index": n} for n, call in enumerate(calls)] if calls else None
