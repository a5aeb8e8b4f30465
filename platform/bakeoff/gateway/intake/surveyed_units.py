"""Who was asked a survey's question lately, in the cache: nobody is asked again within its period.

Guarantees: a user of whom an answer, or an event that says that the question was in sight, was
committed is not asked again in the survey's period, whatever their browser remembers. While the cache
is away nobody is asked; what is reported in that time is not remembered, nor is what a cache that was
lost held: there the browser's own memory is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.asyncio
import redis.exceptions

from bakeoff.gateway.cache import execute_awake
from inference.serving.keys import surveyed_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.config.serving_config import ServingConfig
    from experiments.ingest.rows import EventRow, FeedbackRow
    from experiments.survey_question import SurveyQuestion

DAY_SECONDS = 86_400
# What a page reports of a question that was in sight.
PROMPTS = frozenset({"prompt_shown", "prompt_dismissed", "prompt_answered"})
SURVEY = "survey"  # kind of feedback, and the property of an event that names the question


class SurveyedUnits:
    """Remembers who was asked; one in a process."""

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        """Remember where to note."""
        self._cache = cache

    async def is_surveyed(self, project: int, survey: SurveyQuestion, unit: str) -> bool:
        """Whether a user was asked in the survey's period; true where the cache does not say."""
        try:
            return bool(await self._cache.exists(surveyed_key(project, survey.key, unit)))
        except (redis.exceptions.RedisError, OSError):
            return True  # the next answer may ask

    async def note_events(
        self, config: ServingConfig, project: int, events: Sequence[EventRow]
    ) -> None:
        """Note the questions that users saw, of committed events."""
        surveys = config.surveys.get(project)
        if not surveys:
            return
        seen = [
            (event.unit_id, key)
            for event in events
            if event.name in PROMPTS and isinstance(key := event.properties.get(SURVEY), str)
        ]
        await self._note(config, project, seen)

    async def note_answer(self, config: ServingConfig, row: FeedbackRow) -> None:
        """Note who answered, of committed feedback; of any other kind, nothing."""
        if row.kind == SURVEY and not row.withdrawn:
            await self._note(config, row.project_id, [(row.unit_id, row.text)])

    async def _note(self, config: ServingConfig, project: int, seen: Sequence[tuple[str, str]]) -> None:
        surveys = config.surveys.get(project, {})
        pipe = self._cache.pipeline(transaction=False)
        for unit, key in seen:
            if (survey := surveys.get(key)) is not None:
                name = surveyed_key(project, key, unit)
                pipe.set(name, 1, ex=survey.period_days * DAY_SECONDS)
        if not len(pipe):
            return
        try:
            await execute_awake(pipe)
        except (redis.exceptions.RedisError, OSError):
            return  # the facts are committed; who was asked is left to the browser
