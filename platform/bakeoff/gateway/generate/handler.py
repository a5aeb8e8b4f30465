"""`POST /v1/chat/completions`: from the request to the task that generates.

The surface, what the request forces, the visitor, what is stored of the unit, the version: as for every
surface (gateway/slates/answer.py). Then a task asks, gives, and records.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.generate.answers import AnswerWriter
from bakeoff.gateway.generate.facts import Generation
from bakeoff.gateway.generate.requests import refuse_more_than_variables
from bakeoff.gateway.generate.running import Running
from bakeoff.gateway.generate.work import GenerationWork
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.routes import Answer, EventStream
from bakeoff.gateway.slates.choose_version import (
    GENERATE,
    choose_version,
    find_surface,
    forced_variants,
)
from experiments import bounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from bakeoff.gateway.generate.requests import ChatRequest
    from bakeoff.gateway.generate.work import GenerationParts
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.slates.visitors import Visitors

UNIT_HEADER = b"x-bakeoff-unit"


class ChatHandler:
    """Answers chat completions; one in a process."""

    def __init__(self, parts: GenerationParts, visitors: Visitors, *, secret: str) -> None:
        """Remember who takes which step.

        Args:
            parts: that a generation needs.
            visitors: identifies who is answered.
            secret: by which links are signed.
        """
        self._parts, self._visitors, self._secret = parts, visitors, secret

    async def answer(self, call: Call, request: ChatRequest) -> Answer | EventStream:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule, or there is no answer.
        """
        generation = Generation(streamed=request.stream)
        config, key = call.config, call.caller.key
        surface = find_surface(config, key, request.surface, GENERATE)
        if key.kind != SECRET:
            _check_public(surface, request)
        forced = forced_variants(surface, key, request, secret=self._secret)
        request = _with_unit(call, request, surface)
        visitor = await self._visitors.identify(call, surface, request)
        record = await self._visitors.record_of(visitor)
        chosen = choose_version(config, visitor, forced, record)
        writer = AnswerWriter(generation, chosen, surface.key, request.include_usage)
        work = GenerationWork(
            self._parts, request, visitor, chosen, generation, writer, call.caller.address
        )
        running = Running(work.run)
        first = await running.first(call.request.receive)
        if not request.stream:
            await running.close()
            return Answer(200, first, writer.headers())
        return EventStream(
            writer.headers(), _from(first, running), abandon=running.abandon, close=running.close
        )


async def _from(first: bytes, running: Running) -> AsyncIterator[bytes]:
    yield first
    async for part in running.parts:
        yield part


def _check_public(surface: SurfaceConfig, request: ChatRequest) -> None:
    """Refuse a public key where the surface is not public.

    Raises:
        ApiError: 403.
    """
    if not surface.generate.public:
        raise ApiError(
            403,
            "secret_key_needed",
            f"surface '{surface.key}' is not public: it needs a secret key (sk_…).",
            field="surface",
        )
    refuse_more_than_variables(request)


def _with_unit(call: Call, request: ChatRequest, surface: SurfaceConfig) -> ChatRequest:
    """Return the request with its unit: of the header, else of the body; of nobody, one of its own.

    Raises:
        ApiError: 400, nobody is named where variants differ by who is answered.
    """
    if header := call.request.header(UNIT_HEADER):
        unit = bounds.text(header, UNIT_HEADER.decode())
        return dataclasses.replace(request, ids=(request.ids[0], unit))
    if request.ids != (None, None):
        return request
    if surface.experiments or surface.holdout is not None:
        raise ApiError(
            400,
            "unit_needed",
            f"user is missing: surface '{surface.key}' runs an experiment, which must know who is "
            "answered. Send user, metadata.unit_id or the header X-Bakeoff-Unit.",
            field="user",
        )
    # Nobody is compared: the answer is a unit of its own, which no other answer shares.
    return dataclasses.replace(request, ids=(None, f"request-{uuid7()}"))
