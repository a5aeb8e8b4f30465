"""Traces that another process began: named for it, and continued here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference.trace_context import TraceHooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context

    from bakeoff.telemetry.tracing import Tracing


def trace_hooks(tracing: Tracing) -> TraceHooks:
    """Return how a process that sends spans names and continues traces."""
    # Extras; once, since each answer of a model asks for them.
    from opentelemetry.trace import SpanKind, Status, StatusCode, use_span  # noqa: PLC0415

    tracer, kind, failed = tracing.tracer("bakeoff.models"), SpanKind.SERVER, Status(StatusCode.ERROR)

    @contextmanager
    def continued(name: str, traces: Sequence[Mapping[str, str]]) -> Iterator[None]:
        spans = [
            tracer.start_span(
                name, context=context_of(trace), kind=kind, attributes={"bakeoff.batch": len(traces)}
            )
            for trace in traces
            if trace
        ]
        try:
            # Messages of exceptions may quote values: their class alone is sent.
            with use_span(spans[0], record_exception=False, set_status_on_exception=False):
                yield
        except Exception as error:
            for span in spans:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(failed)
            raise
        finally:
            for span in spans:
                span.end()

    return TraceHooks(current_trace, continued)


def current_trace() -> dict[str, str]:
    """Return `traceparent` and `tracestate` of the running code's span; empty outside of any."""
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  an extra
        TraceContextTextMapPropagator,
    )

    trace: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(trace)
    return trace


def context_of(trace: Mapping[str, str]) -> Context:
    """Return the context of a trace that `current_trace` named; a new one of what names none."""
    from opentelemetry.context import Context  # noqa: PLC0415  an extra
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator().extract(trace, context=Context())
