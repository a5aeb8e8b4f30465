"""A span of a generation that has ended, by OpenTelemetry's conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. What these do not name stands under
`bakeoff.`. Texts go along only where the operator has switched them on, and then as the surface stores
them: redacted, in full, or not at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from bakeoff.gateway.generate.facts import Generation
    from bakeoff.gateway.generate.requests import ChatRequest
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.visitors import Visitor
    from bakeoff.telemetry.tracing import Tracing
    from experiments.ingest.rows import SlateRow

_SCOPE = "bakeoff.generate"
# Outcomes that are the platform's or a provider's failure; a refusal and a client who leaves are none.
_FAILED = frozenset({"failed", "broken", "static"})
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}


class GenerationSpans:
    """Writes a span of each generation; one in a process."""

    def __init__(self, tracing: Tracing, *, content: bool) -> None:
        """Remember the way out, and whether texts take it."""
        self._tracer, self._content = tracing.tracer(_SCOPE), content

    def add(
        self,
        request: ChatRequest,
        visitor: Visitor,
        chosen: ChosenVersion,
        generation: Generation,
        recorded: SlateRow | None,
    ) -> None:
        """Queue the span of a generation that has ended; takes microseconds.

        Args:
            request: as it came.
            visitor: who was answered.
            chosen: the variant's version.
            generation: what came of it.
            recorded: its slate; None where nothing was stored, and no text may leave.
        """
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415  an extra

        began = _nanoseconds(generation.requested_at)
        attributes = _facts(request, visitor, chosen, generation)
        if self._content and recorded is not None:
            attributes |= _texts(recorded.context)
        model = attributes.get("gen_ai.request.model", "")
        span = self._tracer.start_span(
            f"chat {model}".strip(), kind=SpanKind.CLIENT, attributes=attributes, start_time=began
        )
        for attempt in generation.attempts:
            silence: dict[str, AttributeValue] = {
                "gen_ai.provider.name": attempt.provider,
                "gen_ai.request.model": attempt.model,
                "error.type": attempt.reason,
                "bakeoff.ms": attempt.ms,
            }
            span.add_event("bakeoff.provider_gave_nothing", silence, timestamp=began)
        if generation.outcome in _FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(began + int((generation.total_ms or 0.0) * 1e6))


def _nanoseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1e9)


def _facts(
    request: ChatRequest, visitor: Visitor, chosen: ChosenVersion, generation: Generation
) -> dict[str, AttributeValue]:
    version = chosen.version
    prompt = version.model.prompt if version is not None and version.model is not None else None
    first = prompt.chain[0] if prompt is not None else None
    usage = generation.usage
    failed = generation.attempts[-1].reason if generation.attempts else generation.outcome
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": generation.provider or (first.provider if first else None),
        "gen_ai.request.model": first.model if first else None,
        "gen_ai.response.model": generation.model,
        "gen_ai.response.id": generation.generation_id,
        "gen_ai.response.finish_reasons": (
            [generation.finish_reason] if generation.finish_reason else None
        ),
        "gen_ai.usage.input_tokens": usage.tokens_in if usage else None,
        "gen_ai.usage.output_tokens": usage.tokens_out if usage else None,
        "gen_ai.usage.cache_read.input_tokens": usage.tokens_cached if usage else None,
        "error.type": failed if generation.outcome in _FAILED else None,
        "bakeoff.project": visitor.key.project,
        "bakeoff.surface": visitor.surface.key,
        "bakeoff.version": version.label if version is not None else None,
        "bakeoff.experiment": chosen.experiment.key if chosen.experiment else None,
        "bakeoff.variant": chosen.variant,
        "bakeoff.outcome": generation.outcome,
        "bakeoff.cost": generation.cost,
        "bakeoff.first_token_ms": generation.first_token_ms,
        "bakeoff.streamed": generation.streamed,
    }
    known = {name: value for name, value in values.items() if value is not None}
    return known | _parameters({**request.parameters, **(prompt.parameters if prompt else {})})


def _parameters(fields: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the model's parameters: numbers alone, whatever a client sent for them."""
    return {
        name: fields[ours]
        for ours, name in _PARAMETERS.items()
        if isinstance(fields.get(ours), int | float) and not isinstance(fields[ours], bool)
    }


def _texts(context: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return messages and answer as the surface stores them."""
    texts = {
        "gen_ai.input.messages": context.get("messages"),
        "gen_ai.output.messages": [context["answer"]] if context.get("answer") else None,
    }
    return {name: orjson.dumps(value).decode() for name, value in texts.items() if value}
