"""Ask the providers of a version in their order, until one begins to answer.

Guarantees: another provider is asked only while nothing of an answer has been given; each has its
deadline for the first token, and all of them together the version's; one that fails again and again is
left alone by its breaker. A unit stays in its variant: no fallback is another version's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from bakeoff.gateway.generate.completions import (
    Assembled,
    WrongAnswerError,
    read_chunks,
    read_completion,
)
from bakeoff.gateway.generate.facts import Attempt
from bakeoff.gateway.generate.reasons import (
    EMPTY,
    MODEL_ERROR,
    NOT_DECLARED,
    OPEN,
    RATE_LIMITED,
    REJECTED,
    TIMEOUT,
    UNAUTHORIZED,
)
from bakeoff.gateway.slates.breaker import Breaker
from inference.outgoing import OutgoingClient, OutgoingError
from inference.providers import read_providers
from inference.serving.prompts import ModelOfProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from bakeoff.gateway.generate.facts import Generation
    from inference.outgoing import StreamedAnswer
    from inference.providers import Provider
    from inference.serving.prompts import Prompt

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Answers are read for as long as they are made: each holds a connection of its own.
MAX_CONNECTIONS = 4096
MAX_ANSWER_BYTES = 8 * 2**20
MAX_ERROR_BYTES = 8192
MAX_MESSAGE = 300
_REASONS = {401: UNAUTHORIZED, 403: UNAUTHORIZED, 429: RATE_LIMITED, 408: TIMEOUT, 504: TIMEOUT}
_REJECTED = frozenset({400, 404, 413, 415, 422})
# What says nothing of the provider: the request was wrong, or the model had nothing to say.
_NO_FAILURE = frozenset({REJECTED, EMPTY})


class NoAnswerError(Exception):
    """No provider of the chain answered.

    Attributes:
        reason: of the last attempt.
        detail: what the last provider said of a request that it rejected; else empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep why."""
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Question:
    """What every provider of a chain is asked.

    Attributes:
        fields: of the body, but for the model.
        streamed: whether the answer comes as it is made.
    """

    fields: Mapping[str, Any]
    streamed: bool

    def body(self, model: str) -> bytes:
        """Return the body of a request."""
        options = {"stream": True, "stream_options": {"include_usage": True}} if self.streamed else {}
        return orjson.dumps({**self.fields, "model": model, **options})


@dataclass(slots=True)
class OpenedStream:
    """A stream whose first token is there.

    Attributes:
        chunks: all of them, as they come together.
        assembled: what its reader has taken.
    """

    chunks: AsyncIterator[list[dict[str, Any]]]
    assembled: Assembled = field(default_factory=Assembled)


class Chain:
    """The way to all providers; one in a process."""

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._client: OutgoingClient | None = None
        self._breakers: dict[ModelOfProvider, Breaker] = {}

    async def stop(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()

    def note_failure(self, provider: str | None, model: str | None) -> None:
        """Note that an answer broke off in the middle."""
        if provider is not None and model is not None:
            self._breakers.setdefault(ModelOfProvider(provider, model), Breaker()).failed()

    async def complete(
        self, prompt: Prompt, question: Question, generation: Generation, project: str
    ) -> tuple[dict[str, Any], Assembled]:
        """Return the first whole completion.

        Raises:
            NoAnswerError: none of them gave any.
        """
        until = time.monotonic() + prompt.total_seconds
        left = len(prompt.chain)

        async def ask(provider: Provider, model: str) -> tuple[dict[str, Any], Assembled]:
            # Whole answers have no first token to wait for: what time there is is shared.
            async with asyncio.timeout(max(until - time.monotonic(), 0) / max(left, 1)):
                async with self._respond(provider, question.body(model)) as answer:
                    raw = b"".join([part async for part in answer.parts])
                return read_completion(raw)

        for one in prompt.chain:
            if (answered := await self._try(one, ask, generation, project)) is not None:
                return answered
            left -= 1
        raise _no_answer(generation)

    async def open(
        self,
        prompt: Prompt,
        question: Question,
        generation: Generation,
        *,
        project: str,
        stack: AsyncExitStack,
    ) -> OpenedStream:
        """Return the first stream that has begun; it is read until the stack is closed.

        Raises:
            NoAnswerError: none of them began.
        """
        until = time.monotonic() + prompt.total_seconds

        async def ask(provider: Provider, model: str) -> OpenedStream:
            seconds = min(prompt.first_token_seconds, until - time.monotonic())
            async with AsyncExitStack() as attempt:
                async with asyncio.timeout(max(seconds, 0)):
                    answer = await attempt.enter_async_context(
                        self._respond(provider, question.body(model))
                    )
                    opened = await _first_token(answer)
                # The connection stays open with the caller's stack; a failure has closed it here.
                stack.push_async_exit(attempt.pop_all())
            return opened

        for one in prompt.chain:
            if (opened := await self._try(one, ask, generation, project)) is not None:
                return opened
        raise _no_answer(generation)

    async def _try(
        self,
        one: ModelOfProvider,
        ask: Callable[[Provider, str], Awaitable[T]],
        generation: Generation,
        project: str,
    ) -> T | None:
        """Ask one provider; note why it gave nothing."""
        started = time.perf_counter()
        try:
            answered = await self._ask(one, ask, project)
        except WrongAnswerError as error:
            ms = (time.perf_counter() - started) * 1000
            generation.attempts.append(Attempt(one.provider, one.model, error.reason, ms))
            generation.detail = str(error) if error.reason == REJECTED else ""
            # Never what it said: it may have said its key.
            logger.info("provider %s gave nothing: %s", one.provider, error.reason)
            return None
        generation.provider, generation.model = one.provider, one.model
        return answered

    async def _ask(
        self, one: ModelOfProvider, ask: Callable[[Provider, str], Awaitable[T]], project: str
    ) -> T:
        """Ask past a breaker.

        Raises:
            WrongAnswerError: there is no answer; its reason is the attempt's.
        """
        provider = read_providers().get(one.provider)
        if provider is None or not provider.serves(project):
            raise WrongAnswerError(NOT_DECLARED)
        breaker = self._breakers.setdefault(one, Breaker())
        if not breaker.lets_through():
            raise WrongAnswerError(OPEN)
        try:
            answered = await ask(provider, one.model)
        except asyncio.CancelledError:  # the client has left: that says nothing of the provider
            breaker.trying = False
            raise
        except (TimeoutError, OutgoingError, WrongAnswerError) as error:
            wrong = _as_wrong_answer(error)
            if wrong.reason in _NO_FAILURE:
                breaker.succeeded()
            else:
                breaker.failed()
            raise wrong from None
        breaker.succeeded()
        return answered

    @asynccontextmanager
    async def _respond(self, provider: Provider, body: bytes) -> AsyncIterator[StreamedAnswer]:
        """Yield an answer of status 200.

        Raises:
            OutgoingError: there is none.
            WrongAnswerError: its status is another.
        """
        if self._client is None:
            self._client = OutgoingClient(MAX_CONNECTIONS)
        async with self._client.stream(
            provider.url, content=body, headers=provider.headers, max_bytes=MAX_ANSWER_BYTES
        ) as answer:
            if answer.status != 200:
                raise await _refusal(answer, provider)
            yield answer


def _as_wrong_answer(error: Exception) -> WrongAnswerError:
    if isinstance(error, WrongAnswerError):
        return error
    # An OutgoingError is an OSError as TimeoutError is, but says nothing of time.
    return WrongAnswerError(TIMEOUT if isinstance(error, TimeoutError) else MODEL_ERROR)


def _no_answer(generation: Generation) -> NoAnswerError:
    return NoAnswerError(generation.attempts[-1].reason, generation.detail)


async def _first_token(answer: StreamedAnswer) -> OpenedStream:
    """Read a stream up to its first token.

    Raises:
        WrongAnswerError: it ends before, or is none.
        OutgoingError: it breaks before.
    """
    chunks, seen = read_chunks(answer.parts), Assembled()
    early: list[dict[str, Any]] = []
    async for together in chunks:
        early += together
        for chunk in together:
            seen.add_chunk(chunk)
        if seen.has_token:
            return OpenedStream(_from(early, chunks))
    raise WrongAnswerError(EMPTY if seen.finish_reason is not None else MODEL_ERROR)


async def _from(
    early: list[dict[str, Any]], chunks: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[list[dict[str, Any]]]:
    yield early
    async for together in chunks:
        yield together


async def _refusal(answer: StreamedAnswer, provider: Provider) -> WrongAnswerError:
    """Return what a status other than 200 means; of a request that was rejected, with the reason."""
    reason = _REASONS.get(answer.status, REJECTED if answer.status in _REJECTED else MODEL_ERROR)
    if reason != REJECTED:
        return WrongAnswerError(reason)
    raw = b""
    async for part in answer.parts:
        raw += part
        if len(raw) > MAX_ERROR_BYTES:
            break
    try:
        message = orjson.loads(raw)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        message = ""
    text = str(message)
    if provider.key:  # some providers quote the key that they were sent
        text = text.replace(provider.key, "…")
    return WrongAnswerError(REJECTED, text[:MAX_MESSAGE])
