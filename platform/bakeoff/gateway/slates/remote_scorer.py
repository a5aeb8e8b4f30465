"""Ask models that this process does not hold: a worker's through the cache, a user's over HTTP.

Guarantees: an ask ends by its deadline; a version that fails again and again is left alone by its
breaker; whatever goes wrong has a reason that is logged with the slate, and never stops the answer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.slates.breaker import Breaker
from inference.outgoing import OutgoingClient
from inference.serving.endpoint import (
    HEADERS,
    RemoteAnswer,
    WrongAnswerError,
    check_scores,
    encode_question,
    read_answer,
)
from inference.serving.model_rpc import MAX_WAITING, REQUESTS, encode_request, replies_key
from inference.serving.models import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.telemetry.spans import Spans
    from inference.serving.models import RemoteModel
    from inference.supervision import Supervisor, WorkStatus

logger = logging.getLogger(__name__)
TIMEOUT, ERROR, OPEN = "timeout", "model_error", "breaker_open"
LISTENER = "answers of workers"
RETRY_SECONDS = 0.5
SILENT_SECONDS = 5.0
FAULTS = (redis.exceptions.RedisError, OSError, ValueError)


class RemoteError(Exception):
    """No answer; the message is the fallback's reason."""


class RemoteScorer:
    """All that is asked elsewhere by one process."""

    def __init__(
        self,
        cache: redis.asyncio.Redis,
        waiting: redis.asyncio.Redis,
        process: str,
        supervisor: Supervisor,
        spans: Spans | None = None,
    ) -> None:
        """Remember where to ask.

        Args:
            cache: for asks; fails fast.
            waiting: for answers; waits as long as it takes.
            process: names this process's replies.
            supervisor: keeps the listener alive.
            spans: trace questions, where an operator wants them.
        """
        self._cache, self._waiting, self._process = cache, waiting, process
        self._supervisor, self._spans = supervisor, spans
        # Answers come in any order, and late ones for nobody: each question has a number of its own.
        self._numbers = itertools.count()
        self._pending: dict[int, asyncio.Future[list[float]]] = {}
        self._breakers: dict[int, Breaker] = {}
        self._http: OutgoingClient | None = None

    async def stop(self) -> None:
        """Let go of listener and connections."""
        await self._supervisor.stop(LISTENER)
        if self._http is not None:
            await self._http.aclose()

    def breaker(self, version_id: int) -> Breaker:
        """Return a version's breaker."""
        return self._breakers.setdefault(version_id, Breaker())

    def open_breakers(self) -> list[int]:
        """Return the versions that are left alone now."""
        return [version for version, breaker in self._breakers.items() if breaker.is_open]

    async def answer(
        self, version_id: int, model: RemoteModel, question: Mapping[str, Any], count: int
    ) -> RemoteAnswer:
        """Return `count` finite scores, and what they cost.

        Raises:
            RemoteError: there is no answer in time, it is wrong, or the breaker is open.
        """
        if self._spans is None:
            return await self._answer(version_id, model, question, count)
        attributes: dict[str, str | int] = {
            "bakeoff.version_id": version_id,
            "bakeoff.model_form": model.form,
            "bakeoff.candidates": count,
        }
        if model.form == ENDPOINT:  # a URL may carry a token: its host says enough
            attributes["server.address"] = urlsplit(model.url).hostname or ""
        # The error's text is the fallback's reason, which its class does not tell.
        with self._spans.client("model answer", attributes) as span:
            try:
                return await self._answer(version_id, model, question, count)
            except RemoteError as error:
                span.set_attribute("bakeoff.fallback", str(error))
                raise

    async def _answer(
        self, version_id: int, model: RemoteModel, question: Mapping[str, Any], count: int
    ) -> RemoteAnswer:
        breaker = self.breaker(version_id)
        if not breaker.lets_through():
            raise RemoteError(OPEN)
        try:
            answer = await self._ask(model, question, count)
        except TimeoutError:
            breaker.failed()
            raise RemoteError(TIMEOUT) from None
        except FAULTS as error:
            logger.warning("version %s gave no answer: %s", version_id, error)
            breaker.failed()
            raise RemoteError(ERROR) from None
        except asyncio.CancelledError:  # the visitor has left: that says nothing of the model
            breaker.trying = False
            raise
        breaker.succeeded()
        return answer

    async def probe(self, model: RemoteModel, question: Mapping[str, Any], count: int) -> None:
        """Ask once, past the breaker: a version that does not serve yet must not open it.

        Raises:
            RemoteError: there is no answer in time, or it is wrong; the message says so.
        """
        try:
            await self._ask(model, question, count)
        except TimeoutError:
            raise RemoteError(f"no answer within {model.deadline_ms} ms") from None
        except FAULTS as error:
            raise RemoteError(f"a wrong answer: {error}") from error

    async def _ask(self, model: RemoteModel, question: Mapping[str, Any], count: int) -> RemoteAnswer:
        ask = self._call_endpoint if model.form == ENDPOINT else self._call_worker
        async with asyncio.timeout(model.deadline_ms / 1000):
            answer = await ask(model, question)
        check_scores(answer.scores, count)
        return answer

    async def _call_worker(self, model: RemoteModel, question: Mapping[str, Any]) -> RemoteAnswer:
        self._supervisor.start(LISTENER, self._listen)
        number = next(self._numbers)
        answer: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        until = time.time() + model.deadline_ms / 1000
        try:
            pipe = self._cache.pipeline(transaction=False)
            trace = None if self._spans is None else self._spans.carried()
            request = encode_request(number, self._process, model.digest, until, question, trace=trace)
            pipe.rpush(REQUESTS, request)
            # Without workers the list would grow for ever; the newest are nearest to being answered.
            pipe.ltrim(REQUESTS, -MAX_WAITING, -1)
            await pipe.execute()
            return RemoteAnswer(await answer)
        finally:
            del self._pending[number]

    async def _listen(self, status: WorkStatus) -> None:
        """Hand answers to who asked."""
        key = replies_key(self._process)
        while True:
            status.beat()
            try:
                async with asyncio.timeout(SILENT_SECONDS):  # a frozen server keeps no promise of 1 s
                    first = await self._waiting.blpop([key], timeout=1)
                    if first is None:
                        continue
                    # One wait for the first, one command for all that came with it.
                    replies = (first[1], *(await self._waiting.lpop(key, 255) or []))
            except (redis.exceptions.RedisError, OSError):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for reply in replies:
                self._hand_over(reply)

    def _hand_over(self, reply: bytes) -> None:
        try:
            number, scores, error = orjson.loads(reply)
        except (ValueError, TypeError) as error:  # it answers nobody, and the next one must be heard
            logger.warning("an answer is no answer: %s", error)
            return
        answer = self._pending.get(number)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(scores)
        else:
            answer.set_exception(WrongAnswerError(error))

    async def _call_endpoint(self, model: RemoteModel, question: Mapping[str, Any]) -> RemoteAnswer:
        if self._http is None:
            self._http = OutgoingClient()
        answer = await self._http.post(
            model.url,
            content=encode_question(question, model.protocol),
            headers=HEADERS if self._spans is None else {**HEADERS, **self._spans.carried()},
            # The deadline around this call comes first, and tells a late answer from none.
            seconds=2 * model.deadline_ms / 1000,
        )
        return read_answer(answer.status, answer.content, model.protocol)
