"""Record a generation: one slate, however it ended, and what it cost."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.generate.completions import Usage, count_tokens, text_of
from bakeoff.gateway.generate.texts import stored_context
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.recorder import slate_row
from inference.providers import read_providers
from inference.serving.ladder import ServedSlate
from inference.serving.prices import find_price
from inference.serving.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.generate.text_work import TextWork
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.recorder import Recorder
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.ingest.rows import SlateRow
    from inference.serving.generate_settings import GenerateSettings
    from inference.serving.prices import Price
    from inference.serving.prompts import Prompt

logger = logging.getLogger(__name__)
TOKENS_OF_AN_ANSWER = 256  # where a request does not bound them: an estimate, replaced at the end
# What was generated is paid for: a full queue is waited for, a while.
RETRY_SECONDS = (0.1, 0.5, 2.0)


def count_usage(generation: Generation) -> None:
    """Count tokens where the provider states none; nothing where no provider answered."""
    # Once: what was counted here must not pass for the provider's own word.
    if generation.counted or generation.provider is None or generation.outcome == "cached":
        return
    if generation.usage is not None:
        generation.counted = "provider"
        return
    tokens_in = sum(count_tokens(text_of(message)) for message in generation.messages)
    tokens_out = count_tokens(text_of(generation.answer)) if generation.answer else 0
    generation.usage, generation.counted = Usage(tokens_in, tokens_out), "us"


def estimated(
    messages: Sequence[dict[str, Any]],
    fields: Mapping[str, Any],
    prompt: Prompt,
    settings: GenerateSettings,
) -> Spending:
    """Return about what an answer will cost, by the first provider. Takes a while for long messages."""
    tokens_in = sum(count_tokens(text_of(message)) for message in messages)
    wanted = fields.get("max_completion_tokens") or fields.get("max_tokens")
    tokens_out = wanted if isinstance(wanted, int) and wanted > 0 else TOKENS_OF_AN_ANSWER
    price = _price_of(prompt.provider, prompt.model, settings)
    money = 0.0
    if price is not None:
        money = price.of(tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=0)
    return Spending(tokens_in + tokens_out, money)


def _price_of(provider: str, model: str, settings: GenerateSettings) -> Price | None:
    operators = read_providers().get(provider)
    tables = [settings.prices.get(provider, {}), operators.prices if operators else {}]
    return find_price(tables, model, datetime.now(UTC).date())


def cost_of(generation: Generation, settings: GenerateSettings) -> float:
    """Return what an answer costs: by the surface's prices, else by the operator's; 0 without any."""
    provider, usage = generation.provider, generation.usage
    if provider is None or generation.model is None or usage is None or generation.outcome == "cached":
        return 0.0
    price = _price_of(provider, generation.model, settings)
    if price is None:
        return 0.0
    return price.of(
        tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, tokens_cached=usage.tokens_cached
    )


class GenerationRecorder:
    """Records generations; one in a process."""

    def __init__(self, recorder: Recorder, text_threads: TextWork) -> None:
        """Remember who writes, and where texts are redacted."""
        self._recorder, self._text_threads = recorder, text_threads

    async def expose(self, visitor: Visitor, chosen: ChosenVersion, generation: Generation) -> None:
        """Commit the exposure of who is about to be answered."""
        try:
            await self._recorder.expose(visitor, chosen, generation.requested_at)
        except ApiError as error:  # the slate's commit tries again
            logger.warning("an exposure waits for its slate: %s", error)

    async def record(
        self, visitor: Visitor, chosen: ChosenVersion, generation: Generation
    ) -> SlateRow | None:
        """Commit the slate of a generation that has ended; return it if it was stored."""
        generation.total_ms = generation.elapsed_ms()
        row = slate_row(
            visitor,
            chosen,
            ServedSlate((), generation.fallback, 0, "", cost=generation.cost),
            latency_ms=generation.total_ms,
            exploration=0.0,
            context=await self._context(visitor, generation),
            recommendation_id=generation.generation_id,
            served_at=generation.requested_at,
        )
        row.generation = generation.as_json(chosen.version.label if chosen.version else None)
        return row if await self._commit(visitor, chosen, row) else None

    async def _context(self, visitor: Visitor, generation: Generation) -> dict[str, object]:
        secrets = [provider.key for provider in read_providers().values() if provider.key]
        work = partial(stored_context, generation, visitor.surface.generate.store, secrets)
        try:
            texts = await self._text_threads.run(work, characters=generation.characters())
        except ApiError:  # too much waits: the facts are worth more than the texts
            texts = {"not_stored": "too_busy"}
        return {**visitor.context, **texts}

    async def _commit(self, visitor: Visitor, chosen: ChosenVersion, row: SlateRow) -> bool:
        for seconds in RETRY_SECONDS:
            try:
                return await self._recorder.record(visitor, chosen, row)
            except ApiError as error:
                if error.status != 429:
                    break
                await asyncio.sleep(seconds)
        logger.error("generation %s is not recorded", row.recommendation_id)
        return False
