"""The way of a request to its answer, the same on every kind of surface.

The surface, what the request forces, the visitor, what is stored of the unit, the version, the slate,
what is recorded of it, the commit, the shadow, the answer: ten steps, in this order. What differs
between a recommendation and a classification is a `SurfaceKind`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import orjson

from bakeoff.gateway.slates.choose_version import (
    by_one_version,
    choose_version,
    find_surface,
    forced_variants,
    with_rules_of,
)
from bakeoff.gateway.slates.recorder import slate_row
from bakeoff.gateway.slates.requests import SurfaceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.surveyed_units import SurveyedUnits
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.recorder import Recorder
    from bakeoff.gateway.slates.shadow import Shadows
    from bakeoff.gateway.slates.visitors import Visitor, Visitors
    from bakeoff.telemetry.spans import Spans
    from experiments.ingest.rows import SlateRow
    from inference.serving.ladder import ServedSlate

R_contra = TypeVar("R_contra", bound=SurfaceRequest, contravariant=True)


@dataclass(frozen=True, slots=True)
class KindAnswer:
    """What a kind of surface serves.

    Attributes:
        slate: items or labels, best first.
        exploration: temperature of the draw.
        fields: of the answer, beside those of its kind.
        recorded: stored beside the request.
        shadow_question: makes what a version in shadow is asked; called for the sample only.
    """

    slate: ServedSlate
    exploration: float
    shadow_question: Callable[[], dict[str, Any]]
    fields: Mapping[str, Any] = field(default_factory=dict)
    recorded: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer that is not recorded yet.

    Attributes:
        visitor: who is answered.
        chosen: by which version.
        answer: of the kind.
        row: the slate, as it is stored.
    """

    visitor: Visitor
    chosen: ChosenVersion
    answer: KindAnswer
    row: SlateRow


class SurfaceKind(Protocol[R_contra]):
    """What one kind of surface does that another does not."""

    @property
    def name(self) -> str:
        """As in the surface's `kind` and the route."""

    async def serve(self, request: R_contra, visitor: Visitor, chosen: ChosenVersion) -> KindAnswer:
        """Return a slate; a version that fails has its fallback, which the slate names."""

    async def recorded_context(self, request: R_contra) -> dict[str, Any]:
        """Return what is stored of the request."""

    def body(self, request: R_contra, visitor: Visitor, slate: ServedSlate) -> dict[str, Any]:
        """Return the fields of the answer that only this kind has."""


class AnswerHandler(Generic[R_contra]):
    """Answers the requests of one kind of surface; one per kind in a process."""

    def __init__(
        self,
        kind: SurfaceKind[R_contra],
        visitors: Visitors,
        recorder: Recorder,
        shadows: Shadows,
        surveyed: SurveyedUnits,
        *,
        secret: str,
        spans: Spans | None = None,
    ) -> None:
        """Remember who takes which step.

        Args:
            kind: of the surface.
            visitors: identifies who is answered.
            recorder: commits what was answered.
            shadows: passes a sample on.
            surveyed: knows who was asked a survey's question lately.
            secret: by which links are signed.
            spans: trace what the kind does, where an operator wants them.
        """
        self._kind, self._visitors, self._recorder = kind, visitors, recorder
        self._shadows, self._surveyed, self._secret = shadows, surveyed, secret
        self._spans = spans

    async def answer(self, call: Call, request: R_contra) -> bytes:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule.
        """
        decided = await self.decide(call, request)
        visitor, chosen, row = decided.visitor, decided.chosen, decided.row
        recorded = await self._recorder.record(visitor, chosen, row)
        # What is not recorded cannot be compared with a shadow's answer; and after the commit, so that
        # the shadow never finds a slate that does not exist.
        if recorded and self._shadows.wants(visitor, chosen):
            self._shadows.send(visitor, chosen, row, decided.answer.shadow_question())
        head = _head(chosen, row, visitor.surface.key)
        own = self._kind.body(request, visitor, decided.answer.slate)
        body = {**head, **own, **decided.answer.fields}
        # Only then named: clients of before the field read an answer that is as it always was.
        if not recorded:
            body["recorded"] = False
        # Who is not recorded, or does not see the slate now, is not asked about it; nor is who was put
        # into a variant by a person, and so counts in none.
        elif (
            visitor.exposed
            and not chosen.forced
            and (
                survey := call.config.survey_for(
                    visitor.surface, visitor.unit, visitor.context, chosen.full_variant
                )
            )
            and not await self._surveyed.is_surveyed(row.project_id, survey, visitor.unit)
        ):
            body["survey"] = survey.as_json()
        return orjson.dumps(body)

    async def decide(
        self, call: Call, request: R_contra, *, recommendation_id: str | None = None
    ) -> Decided:
        """Take the steps before the commit.

        Args:
            call: the caller's.
            request: what is wanted.
            recommendation_id: a UUIDv7; None: a new one.

        Raises:
            ApiError: the request breaks a rule.
        """
        # From here, not from the door: reading a slow body says nothing of the model.
        started = time.perf_counter()
        kind, config, key = self._kind, call.config, call.caller.key
        surface = find_surface(config, key, request.surface, kind.name)
        forced = forced_variants(surface, key, request, secret=self._secret)
        visitor = await self._visitors.identify(call, surface, request)
        record = await self._visitors.record_of(visitor)
        chosen = choose_version(config, visitor, forced, record)
        if chosen.interleaved and not request.may_interleave:
            chosen = by_one_version(chosen, surface)
        visitor = with_rules_of(config, chosen.served_variant, visitor)
        if self._spans is None:
            served = await kind.serve(request, visitor, chosen)
        else:
            served = await _serve_traced(kind, request, visitor, chosen, spans=self._spans)
        row = slate_row(
            visitor,
            chosen,
            served.slate,
            latency_ms=(time.perf_counter() - started) * 1000,
            exploration=served.exploration,
            context={**await kind.recorded_context(request), **served.recorded},
            recommendation_id=recommendation_id,
        )
        return Decided(visitor, chosen, served, row)


async def _serve_traced(
    kind: SurfaceKind[R_contra],
    request: R_contra,
    visitor: Visitor,
    chosen: ChosenVersion,
    *,
    spans: Spans,
) -> KindAnswer:
    """Let the kind serve in a span that names the version, and what stood in for it."""
    facts = {
        "bakeoff.surface": visitor.surface.key,
        "bakeoff.version": chosen.label,
        "bakeoff.experiment": chosen.experiment.key if chosen.experiment else None,
        "bakeoff.variant": chosen.variant,
    }
    attributes = {name: value for name, value in facts.items() if value is not None}
    with spans.internal(f"serve {kind.name}", attributes) as span:
        served = await kind.serve(request, visitor, chosen)
        if served.slate.fallback is not None:
            span.set_attribute("bakeoff.fallback", served.slate.fallback)
        return served


def _head(chosen: ChosenVersion, row: SlateRow, surface: str) -> dict[str, Any]:
    """Return the fields that every answer has."""
    return {
        "recommendation_id": row.recommendation_id,
        "surface": surface,
        "experiment": chosen.experiment.key if chosen.experiment else None,
        "variant": chosen.variant,
        "model": chosen.label,
        "reason": chosen.reason,
        "fallback": row.fallback,
    }
