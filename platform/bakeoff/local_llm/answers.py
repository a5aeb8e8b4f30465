"""Chunks of the engine as OpenAI's chunks, and as one whole answer."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from bakeoff.local_llm.engine import EngineError
from bakeoff.local_llm.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from bakeoff.local_llm.engine import Engine
    from bakeoff.local_llm.requests import ChatRequest

Chunk = dict[str, Any]
SHARED = ("id", "created", "model", "system_fingerprint")  # of every chunk of an answer


async def chunks_of(engine: Engine, request: ChatRequest) -> AsyncGenerator[Chunk]:
    """Yield chunks as they come from a thread; who stops reading stops the generation.

    When this has ended, also by an error or a cancellation, the engine's slot is free.

    Raises:
        ApiError: the engine refused or failed.
    """
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Chunk | None]()
    stopped = threading.Event()

    def is_wanted(chunk: Chunk) -> bool:
        loop.call_soon_threadsafe(queue.put_nowait, chunk)
        return not stopped.is_set()

    work = loop.run_in_executor(None, engine.generate, request.fields, is_wanted)
    # Called in the loop after the last chunk has been put.
    work.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (chunk := await queue.get()) is not None:
            yield _shaped(chunk, request.model)
        await work
    except EngineError as error:
        raise _as_api_error(error) from error
    finally:
        stopped.set()  # seen at the next token
        await asyncio.wait([work])


def _shaped(chunk: Chunk, model: str) -> Chunk:
    """Return a chunk without what the engine says of itself, under the name that was asked for."""
    plain = {name: value for name, value in chunk.items() if name != "timings"}
    return {**plain, "model": model}


def _as_api_error(error: EngineError) -> ApiError:
    if error.status >= 500:
        return ApiError.failed(str(error))
    is_long = "context size" in str(error)
    code = "context_length_exceeded" if is_long else "invalid_value"
    return ApiError.invalid(str(error), code=code, status=error.status)


def usage_of(chunk: Chunk) -> Mapping[str, Any] | None:
    """Return the token counts of a stream's last chunk; None of every other."""
    return chunk.get("usage") if not chunk.get("choices") else None


def whole_answer(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """Return the answer whose stream these are."""
    shared: dict[str, Any] = {}
    usage: Mapping[str, Any] | None = None
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        shared = {name: chunk[name] for name in SHARED if name in chunk}
        usage = usage_of(chunk) or usage
        for part in chunk.get("choices", []):
            choices.setdefault(part["index"], _Choice(part["index"])).add(part)
    return {
        **shared,
        "object": "chat.completion",
        "choices": [choices[index].as_json() for index in sorted(choices)],
        "usage": usage,
    }


class _Choice:
    """One of an answer's choices, as its chunks come."""

    def __init__(self, index: int) -> None:
        self._index, self._content, self._finish = index, "", None
        self._calls: dict[int, dict[str, Any]] = {}
        self._log_probabilities: list[Any] = []

    def add(self, part: Mapping[str, Any]) -> None:
        delta = part.get("delta", {})
        self._content += delta.get("content") or ""
        for call in delta.get("tool_calls") or []:
            self._add_call(call)
        self._log_probabilities += (part.get("logprobs") or {}).get("content") or []
        self._finish = part.get("finish_reason") or self._finish

    def _add_call(self, part: Mapping[str, Any]) -> None:
        """Add a part of a tool's call: its first has the name, the later ones more of the arguments."""
        function = part.get("function", {})
        call = self._calls.setdefault(part.get("index", 0), {"function": {"arguments": ""}})
        call |= {name: part[name] for name in ("id", "type") if part.get(name)}
        if function.get("name"):
            call["function"]["name"] = function["name"]
        call["function"]["arguments"] += function.get("arguments") or ""

    def as_json(self) -> dict[str, Any]:
        calls = [self._calls[index] for index in sorted(self._calls)]
        message: dict[str, Any] = {"role": "assistant", "content": self._content}
        if calls:
            message = {**message, "content": self._content or None, "tool_calls": calls}
        log_probabilities = (
            {"logprobs": {"content": self._log_probabilities}} if self._log_probabilities else {}
        )
        return {
            "index": self._index,
            "message": message,
            "finish_reason": self._finish,
            **log_probabilities,
        }
