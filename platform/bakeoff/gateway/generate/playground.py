"""Answers for pages: a prompt is tried, nothing of it is recorded, and the budgets count it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.refused import RefusedError
from bakeoff.gateway.config.serving_config import KeyConfig
from bakeoff.gateway.config.versions import ServingVersion
from bakeoff.gateway.generate.answers import AnswerWriter
from bakeoff.gateway.generate.channel import Channel
from bakeoff.gateway.generate.facts import Generation
from bakeoff.gateway.generate.requests import ChatRequest
from bakeoff.gateway.generate.work import GenerationWork
from bakeoff.gateway.http.caller import Consent
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.fields import parse
from bakeoff.gateway.slates.choose_version import GENERATE, ChosenVersion, find_surface
from bakeoff.gateway.slates.visitors import Visitor
from experiments.bounds import BoundsError
from inference.serving.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.generate.work import GenerationParts
    from inference.serving.prompts import Prompt

PAGE_SECONDS = 120.0  # that a page waits for its answers
UNIT = "playground"  # whose budget counts it
_NOTHING_STORED = Consent(analytics=False, training=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """A prompt that is tried.

    Attributes:
        version_id: of the table.
        label: of the version.
        digest: of its artifact.
        prompt: what it asks.
    """

    version_id: int
    label: str
    digest: str
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What a prompt gave.

    Attributes:
        label: of the version.
        text: of the answer; empty where there is none.
        problem: why there is none; else empty.
        facts: as a generation's.
        cost: in money.
    """

    label: str
    text: str
    problem: str
    facts: Mapping[str, Any]
    cost: float


class Playground:
    """Tries prompts for pages; one in a process."""

    def __init__(self, parts: GenerationParts, config: ServingConfigWatcher) -> None:
        """Remember who generates, and who knows the surfaces."""
        self._parts, self._config = parts, config
        self._loop: asyncio.AbstractEventLoop | None = None

    @staticmethod
    def trial_of(version_id: int, label: str, digest: str, prompt: Prompt) -> Trial:
        """Return a prompt as it is tried: pages know no types of the fast lane."""
        return Trial(version_id, label, digest, prompt)

    async def start(self) -> None:
        """Remember the event loop, for pages that ask from their threads."""
        self._loop = asyncio.get_running_loop()

    def ask(
        self, project_id: int, project: str, trials: Sequence[Trial], body: dict[str, Any]
    ) -> list[TrialAnswer]:
        """Try prompts with the same request, at once; blocks its thread.

        Args:
            project_id: of a project in which the page's user may operate.
            project: its slug.
            trials: the prompts.
            body: as of the route.

        Raises:
            RefusedError: the body breaks a rule, or it takes too long.
        """
        if self._loop is None:
            raise RefusedError("The process does not serve yet.")
        key = KeyConfig(project_id, project, SECRET, ())
        try:
            request = parse(ChatRequest, body)
            surface = find_surface(self._config.current, key, request.surface, GENERATE)
        except (ApiError, BoundsError) as error:
            raise RefusedError(str(error), field=error.field) from error
        visitor = Visitor(
            key, surface, UNIT, {}, excluded=False, exposed=False, consent=_NOTHING_STORED
        )
        waiting = asyncio.run_coroutine_threadsafe(self._try_all(visitor, trials, request), self._loop)
        try:
            return waiting.result(PAGE_SECONDS)
        except TimeoutError as error:
            waiting.cancel()
            raise RefusedError(f"The answers took longer than {PAGE_SECONDS:g} s.") from error

    async def _try_all(
        self, visitor: Visitor, trials: Sequence[Trial], request: ChatRequest
    ) -> list[TrialAnswer]:
        return await asyncio.gather(*(self._try(visitor, trial, request) for trial in trials))

    async def _try(self, visitor: Visitor, trial: Trial, request: ChatRequest) -> TrialAnswer:
        version = ServingVersion(
            trial.version_id, trial.label, Model(prompt=trial.prompt), trial.digest
        )
        chosen = ChosenVersion(version, None, None, "STATIC", forced=True)
        generation = Generation(streamed=False)
        writer = AnswerWriter(generation, chosen, visitor.surface.key, include_usage=False)
        work = GenerationWork(self._parts, request, visitor, chosen, generation, writer, address="")
        channel, problem, text = Channel(), "", ""
        try:
            await work.run(channel)
            message = orjson.loads(await anext(channel))["choices"][0]["message"]
            text = message.get("content") or orjson.dumps(message.get("tool_calls")).decode()
        except ApiError as error:
            problem = error.message
        facts = generation.as_json(trial.label)
        return TrialAnswer(trial.label, text, problem, facts, generation.cost)
