"""Answers that are given again to the same messages: exact, by version, for a while."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.generate.completions import Usage
from inference.serving.keys import answer_key, answers_of_unit_key

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from bakeoff.gateway.generate.chain import Question
    from bakeoff.gateway.generate.facts import Generation

logger = logging.getLogger(__name__)
MAX_BYTES = 64 * 1024
FAULTS = (redis.exceptions.RedisError, OSError)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer that was given before.

    Attributes:
        message: as it was given.
        finish_reason: why it ended.
        usage: its tokens then; they are not paid again.
        provider: who had answered.
        model: its name there.
    """

    message: dict[str, Any]
    finish_reason: str
    usage: Usage | None
    provider: str
    model: str


def cache_seconds(surface: SurfaceConfig) -> int:
    """Return how long the answers of a surface are given again now; 0: not at all."""
    rule = surface.generate.cache
    # Two answers that are the same say nothing of the version's second: off while it is measured.
    return rule.seconds if rule.during_experiments or not surface.experiments else 0


class AnswerCache:
    """Reads and writes answers; one in a process. Without Redis nothing is found."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where they are."""
        self._cache = cache

    @staticmethod
    def name(surface: SurfaceConfig, digest: str, question: Question) -> str:
        """Return the name of what is asked: of the surface, the version and everything sent."""
        question_json = orjson.dumps([digest, question.fields], option=orjson.OPT_SORT_KEYS)
        return answer_key(surface.surface_id, hashlib.sha256(question_json).hexdigest())

    async def find(self, name: str) -> CachedAnswer | None:
        """Return an answer, or None."""
        try:
            raw = await self._cache.get(name)
        except FAULTS as error:
            logger.debug("no answer is taken from the cache: %s", error)
            return None
        if raw is None:
            return None
        data = orjson.loads(raw)
        usage = None if data["usage"] is None else Usage(*data["usage"])
        return CachedAnswer(
            data["message"], data["finish_reason"], usage, data["provider"], data["model"]
        )

    async def keep(
        self, name: str, generation: Generation, *, seconds: int, project: int, unit: str
    ) -> None:
        """Keep a completed answer; by its unit, too, so that an erasure finds it."""
        usage = generation.usage
        raw = orjson.dumps(
            {
                "message": generation.answer,
                "finish_reason": generation.finish_reason,
                "usage": usage and [usage.tokens_in, usage.tokens_out, usage.tokens_cached],
                "provider": generation.provider,
                "model": generation.model,
            }
        )
        if len(raw) > MAX_BYTES:
            return
        mine = answers_of_unit_key(project, unit)
        pipe = self._cache.pipeline(transaction=False)
        pipe.set(name, raw, ex=seconds)
        pipe.sadd(mine, name)
        pipe.expire(mine, seconds)
        try:
            await pipe.execute()
        except FAULTS as error:
            logger.debug("an answer is not cached: %s", error)
