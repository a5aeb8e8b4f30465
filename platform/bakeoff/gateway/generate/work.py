"""The task of one generation: check, ask, give, count, record."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.generate.answers import DONE, event
from bakeoff.gateway.generate.budgets import NOTHING
from bakeoff.gateway.generate.cache import cache_seconds
from bakeoff.gateway.generate.chain import NoAnswerError
from bakeoff.gateway.generate.completions import Assembled, WrongAnswerError
from bakeoff.gateway.generate.errors import error_fields
from bakeoff.gateway.generate.guardrails import CONTENT_FILTER, TOO_LONG, Rules, check_answer
from bakeoff.gateway.generate.question import RefusedRequestError, make_question
from bakeoff.gateway.generate.reasons import BROKEN, EMPTY, TIMEOUT, UNAVAILABLE, fallback_of
from bakeoff.gateway.generate.records import cost_of, count_usage, estimated
from bakeoff.gateway.generate.texts import shadow_copy
from bakeoff.gateway.http.errors import ApiError
from inference.outgoing import OutgoingError
from inference.serving.generate_settings import ADDRESS, KEY, PROJECT, SURFACE, UNIT
from inference.serving.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bakeoff.gateway.generate.answers import AnswerWriter
    from bakeoff.gateway.generate.budgets import Budgets, Reservation
    from bakeoff.gateway.generate.cache import AnswerCache, CachedAnswer
    from bakeoff.gateway.generate.chain import Chain, OpenedStream, Question
    from bakeoff.gateway.generate.channel import Channel
    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.generate.live_list import LiveList
    from bakeoff.gateway.generate.records import GenerationRecorder
    from bakeoff.gateway.generate.requests import ChatRequest
    from bakeoff.gateway.generate.spans import GenerationSpans
    from bakeoff.gateway.generate.text_work import TextWork
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.shadow import Shadows
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.ingest.rows import SlateRow
    from inference.serving.prompts import Prompt


@dataclass(frozen=True, slots=True)
class GenerationParts:
    """What every generation of a process needs.

    Attributes:
        chain: the way to providers.
        records: writes slates.
        text_threads: where templates are rendered and texts looked at.
        budgets: what was spent.
        cache: earlier answers.
        shadows: pass a sample on.
        live_list: tells open pages.
        spans: trace generations, where an operator wants them.
    """

    chain: Chain
    records: GenerationRecorder
    text_threads: TextWork
    budgets: Budgets
    cache: AnswerCache
    shadows: Shadows
    live_list: LiveList
    spans: GenerationSpans | None = None


@dataclass(slots=True)
class GenerationWork:
    """One generation, from its checks to its record.

    Attributes:
        address: where the request comes from.
        gave: whether anything of an answer is on its way.
        exposing: commits the exposure meanwhile.
        reservation: what is counted of it while it is on its way.
        cache_name: of its answer; empty where none is cached.
    """

    parts: GenerationParts
    request: ChatRequest
    visitor: Visitor
    chosen: ChosenVersion
    generation: Generation
    writer: AnswerWriter
    address: str
    gave: bool = False
    exposing: asyncio.Task[None] | None = field(default=None, init=False)
    reservation: Reservation = NOTHING
    cache_name: str = ""

    async def run(self, channel: Channel) -> None:
        """Generate; the last part is given when the record is committed or spilled.

        Raises:
            ApiError: there is no answer.
        """
        self.exposing = asyncio.create_task(
            self.parts.records.expose(self.visitor, self.chosen, self.generation)
        )
        try:
            last = await self._answer(channel)
        except asyncio.CancelledError:
            self.generation.outcome = "cancelled"
            raise
        finally:
            await _to_the_end(self._record())
        await channel.put(last)

    async def _record(self) -> None:
        if self.exposing is not None:
            # Whatever became of it: the slate's commit has the exposure, too.
            await asyncio.gather(self.exposing, return_exceptions=True)
        self._count()
        generation, usage = self.generation, self.generation.usage
        recorded = await self.parts.records.record(self.visitor, self.chosen, generation)
        if self.parts.spans is not None:
            self.parts.spans.add(self.request, self.visitor, self.chosen, generation, recorded)
        await self.parts.live_list.announce(self.visitor.key.project_id)
        paid = generation.outcome != "cached" and usage is not None
        tokens = usage.tokens_in + usage.tokens_out if usage is not None and paid else 0
        await self.parts.budgets.settle(self.reservation, Spending(tokens, generation.cost))
        # Whose answer may not be stored has none in the cache either.
        if recorded is None or generation.outcome != "completed":
            return
        if self.parts.shadows.wants(self.visitor, self.chosen):
            # Redacting takes a moment: the answer's last byte does not wait for it.
            self.parts.shadows.later(self._shadow(recorded))
        if self.cache_name:
            await self.parts.cache.keep(
                self.cache_name,
                generation,
                seconds=cache_seconds(self.visitor.surface),
                project=self.visitor.key.project_id,
                unit=self.visitor.unit,
            )

    async def _shadow(self, slate: SlateRow) -> None:
        """Pass a request on to versions in shadow, redacted."""
        with suppress(ApiError):  # too many texts wait: a sample is missed, and no answer
            copy = await self.parts.text_threads.run(
                partial(shadow_copy, self.request, self.generation),
                characters=self.generation.characters(),
            )
            self.parts.shadows.send(self.visitor, self.chosen, slate, {"chat": copy})

    def _count(self) -> None:
        count_usage(self.generation)
        self.generation.cost = cost_of(self.generation, self.visitor.surface.generate)

    async def _answer(self, channel: Channel) -> bytes:
        """Give all parts but the last, which is returned.

        Raises:
            ApiError: there is no answer.
        """
        generation, version = self.generation, self.chosen.version
        prompt = version.model.prompt if version is not None and version.model is not None else None
        if prompt is None:
            generation.fallback = "no_champion" if version is None else UNAVAILABLE
            raise ApiError(
                503, "no_version", f"surface '{self.writer.surface}' has no version that can answer."
            )
        rules = Rules(self.visitor.surface.generate.guardrails, prompt.checks)
        try:
            question = await make_question(
                self.request, prompt, rules, generation, self.parts.text_threads
            )
            if (cached := await self._find_cached(question)) is not None:
                return self._again(cached)
            await self._reserve(prompt, question)
        except RefusedRequestError as refusal:
            generation.outcome, generation.finish_reason = "blocked", refusal.error.code
            raise refusal.error from None
        try:
            if self.request.stream:
                return await self._stream(prompt, question, rules, channel)
            return await self._complete(prompt, question, rules)
        except NoAnswerError as error:
            return self._stand_in(prompt, error)

    async def _find_cached(self, question: Question) -> CachedAnswer | None:
        surface, version = self.visitor.surface, self.chosen.version
        several = question.fields.get("n", 1) != 1
        if version is None or several or not cache_seconds(surface):
            return None
        self.cache_name = self.parts.cache.name(surface, version.digest, question)
        return await self.parts.cache.find(self.cache_name)

    def _again(self, cached: CachedAnswer) -> bytes:
        """Answer as before; it costs nothing."""
        generation = self.generation
        generation.outcome, generation.answer = "cached", cached.message
        generation.finish_reason, generation.usage = cached.finish_reason, cached.usage
        generation.provider, generation.model = cached.provider, cached.model
        generation.tool_calls = len(cached.message.get("tool_calls", ()))
        if not self.request.stream:
            return self.writer.completion(cached.message, cached.finish_reason, cached.usage)
        whole = self.writer.whole(cached.message, cached.finish_reason)
        return whole + self.writer.usage(cached.usage) + DONE

    async def _reserve(self, prompt: Prompt, question: Question) -> None:
        """Count what the answer may cost.

        Raises:
            RefusedRequestError: a budget is spent.
        """
        settings, key = self.visitor.surface.generate, self.visitor.key
        if not settings.budgets:
            return
        names = {
            KEY: key.digest,
            UNIT: f"{key.project_id}:{self.visitor.unit}",
            ADDRESS: f"{key.project_id}:{self.address}",
            PROJECT: str(key.project_id),
            SURFACE: str(self.visitor.surface.surface_id),
        }
        estimate = await self.parts.text_threads.run(
            partial(estimated, self.generation.messages, question.fields, prompt, settings),
            characters=self.generation.characters(),
        )
        try:
            self.reservation = await self.parts.budgets.reserve(settings.budgets, names, estimate)
        except ApiError as error:
            self.generation.guardrails["budget"] += 1
            raise RefusedRequestError(error) from error

    async def _exposed(self) -> None:
        """Wait until the exposure is committed or spilled: nothing of an answer leaves before."""
        if self.exposing is not None:
            await asyncio.shield(self.exposing)

    def _note_fallback(self) -> None:
        if self.generation.attempts:
            self.generation.fallback = fallback_of(self.generation.attempts[0].reason)

    async def _complete(self, prompt: Prompt, question: Question, rules: Rules) -> bytes:
        completion, assembled = await self.parts.chain.complete(
            prompt, question, self.generation, self.visitor.key.project
        )
        self._note_fallback()
        await self._exposed()
        self._take(assembled)
        if rules.need_one_choice:
            completion = await self._checked(completion, rules)
        self._settle(assembled)
        self._count()
        return self.writer.passed_on(completion, self.generation.usage)

    async def _checked(self, completion: dict[str, Any], rules: Rules) -> dict[str, Any]:
        """Return a completion whose first text may be given; a request for several was refused."""
        choices = completion["choices"]
        text, reason = await self._check(rules)
        message = {**choices[0].get("message", {}), "content": text}
        first = {**choices[0], "message": message}
        if reason is not None:
            first["finish_reason"] = reason
        return {**completion, "choices": [first]}

    async def _check(self, rules: Rules) -> tuple[str, str | None]:
        """Look at the answer; return its text as it may be given, and why it ended otherwise."""
        generation = self.generation
        answer = generation.answer or {}
        counts = generation.guardrails
        checked = await self.parts.text_threads.run(
            partial(check_answer, str(answer.get("content") or ""), rules, counts),
            # How long a schema takes does not follow from the text's length.
            characters=generation.characters() if rules.checks.json_schema is None else None,
        )
        generation.schema_ok = checked.schema_ok
        generation.answer = {**answer, "content": checked.text}
        if checked.finish_reason is not None:
            generation.finish_reason = checked.finish_reason
        return checked.text, checked.finish_reason

    async def _stream(
        self, prompt: Prompt, question: Question, rules: Rules, channel: Channel
    ) -> bytes:
        until = time.monotonic() + prompt.total_seconds
        async with AsyncExitStack() as stack:
            opened = await self.parts.chain.open(
                prompt, question, self.generation, project=self.visitor.key.project, stack=stack
            )
            self.generation.note_first_token()
            self._note_fallback()
            await self._exposed()
            try:
                async with asyncio.timeout(max(until - time.monotonic(), 0)):
                    await self._give(opened, rules, channel)
            except asyncio.CancelledError:
                self._take(opened.assembled)
                raise
            except (TimeoutError, OutgoingError, WrongAnswerError) as error:
                self._take(opened.assembled)
                return self._break_off(prompt, error)
        self._settle(opened.assembled)
        self._count()
        return self.writer.usage(self.generation.usage) + DONE

    async def _give(self, opened: OpenedStream, rules: Rules, channel: Channel) -> None:
        """Pass a stream on, or hold it back until it has been looked at.

        Raises:
            WrongAnswerError: it ended in the middle.
        """
        assembled = opened.assembled
        if rules.hold_back:
            async for together in opened.chunks:
                for chunk in together:
                    assembled.add_chunk(chunk)
        elif not await self._pass_on(opened, rules, channel):
            self._take(assembled, finish_reason="length")
            return
        if assembled.finish_reason is None:
            raise WrongAnswerError(BROKEN)
        self._take(assembled)
        if rules.hold_back:
            if assembled.is_empty:
                raise WrongAnswerError(EMPTY)
            await self._check(rules)
            await self._put(
                channel,
                self.writer.whole(
                    self.generation.answer or {}, self.generation.finish_reason or "stop"
                ),
            )

    async def _pass_on(self, opened: OpenedStream, rules: Rules, channel: Channel) -> bool:
        """Pass chunks on as they come; return whether all of them could be given."""
        assembled, max_length = opened.assembled, rules.checks.max_length
        async for together in opened.chunks:
            written: list[bytes] = []
            over = 0
            for chunk in together:
                assembled.add_chunk(chunk)
                over = 0 if max_length is None else assembled.length - max_length
                shown = self._cut_off(chunk, assembled, over) if over > 0 else chunk
                is_first = not (self.gave or any(written))
                written.append(self.writer.chunk(shown, is_first=is_first))
                if over > 0:
                    break
            # What came together leaves together: each part on its own would cost a turn of the loop.
            if data := b"".join(written):
                await self._put(channel, data)
            if over > 0:
                return False
        return True

    def _cut_off(self, chunk: dict[str, Any], assembled: Assembled, over: int) -> dict[str, Any]:
        """Return the chunk that ends a text which is too long by so many characters."""
        assembled.cut(over)
        self.generation.guardrails[TOO_LONG] += 1
        return _cut(chunk, over)

    async def _put(self, channel: Channel, data: bytes) -> None:
        self.gave = True
        await channel.put(data)

    def _take(self, assembled: Assembled, *, finish_reason: str | None = None) -> None:
        """Note what an answer says."""
        generation = self.generation
        generation.answer = assembled.message()
        generation.usage = assembled.usage
        generation.tool_calls = len(assembled.calls)
        generation.finish_reason = finish_reason or assembled.finish_reason

    def _settle(self, assembled: Assembled) -> None:
        """Note how a whole answer ended."""
        generation = self.generation
        generation.refusal = bool(assembled.refusal) or generation.finish_reason == CONTENT_FILTER
        if assembled.is_empty:
            generation.outcome, generation.fallback = "failed", fallback_of(EMPTY)
        else:
            generation.outcome = "refused" if generation.refusal else "completed"

    def _break_off(self, prompt: Prompt, error: Exception) -> bytes:
        """End a stream in the middle; where nothing was given yet, by what stands in.

        Raises:
            ApiError: nothing was given, and nothing stands in.
        """
        generation = self.generation
        reason = TIMEOUT if isinstance(error, TimeoutError) else BROKEN
        self.parts.chain.note_failure(generation.provider, generation.model)
        if not self.gave:
            return self._stand_in(prompt, NoAnswerError(reason))
        generation.outcome, generation.fallback = "broken", BROKEN
        return event(error_fields(ApiError(502, "stream_broken", "The provider's answer broke off.")))

    def _stand_in(self, prompt: Prompt, error: NoAnswerError) -> bytes:
        """Answer with the version's static text.

        Raises:
            ApiError: it has none.
        """
        generation = self.generation
        generation.fallback = fallback_of(error.reason)
        if prompt.static_text is None:
            generation.outcome = "failed"
            raise _failed(error, trusted=self.visitor.key.kind == "secret")
        generation.outcome, generation.finish_reason = "static", "stop"
        generation.answer = {"role": "assistant", "content": prompt.static_text}
        if not self.request.stream:
            return self.writer.completion(generation.answer, "stop", None)
        return self.writer.whole(generation.answer, "stop") + DONE


def _cut(chunk: dict[str, Any], over: int) -> dict[str, Any]:
    """Return a chunk that ends a stream where its text is long enough."""
    choices = []
    for choice in chunk.get("choices", ()):
        delta = choice.get("delta") or {}
        content = str(delta.get("content") or "")
        delta = {**delta, "content": content[: max(len(content) - over, 0)]}
        choices.append({**choice, "delta": delta, "finish_reason": "length"})
    return {**chunk, "choices": choices}


def _failed(error: NoAnswerError, *, trusted: bool) -> ApiError:
    detail = f" The provider said: {error.detail}" if error.detail and trusted else ""
    status = 504 if error.reason == TIMEOUT else 502
    return ApiError(
        status, "provider_failed", f"No provider gave an answer: {error.reason}.{detail}", retry_after=1
    )


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish work also where its task is cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task  # cancelled once, not twice: see Running.abandon
        raise
