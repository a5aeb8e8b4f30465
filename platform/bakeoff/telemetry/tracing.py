"""Spans on their way to a receiver of OTLP over HTTP.

A span is put into a queue; a thread sends them in batches. No request waits for it: where the receiver
is away or slow, the queue fills (2,048 spans) and further ones are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING

from bakeoff.telemetry.span_ids import read_span_ids_with
from inference.trace_context import continue_traces_with

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from bakeoff.telemetry.trace_settings import TraceSettings

PATH = "/v1/traces"
SEND_SECONDS = 5.0
STOP_SECONDS = 5.0  # in which what is queued leaves at the end
MAX_ATTRIBUTE = 32_000  # characters, of texts


class Tracing:
    """The way of spans out of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        """Remember who sends."""
        self._provider = provider

    @classmethod
    def open(cls, settings: TraceSettings, *, service: str) -> Tracing | None:
        """Return the way out, or None where no traces are wanted: then nothing is imported.

        It is no global provider: libraries that trace by themselves send nothing through it.

        Which traces are sampled is OpenTelemetry's own to read (`OTEL_TRACES_SAMPLER`). Lines of logs
        name their trace from then on.

        Args:
            settings: where traces go.
            service: name of the process's part, such as `bakeoff-web`.
        """
        if not settings.endpoint:
            return None
        # An extra: it may not be installed, and costs a third of a second.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        # Its own failures would fill the log: the receiver's state is the operator's to watch.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        resource = Resource.create({"service.name": service, "service.version": version("bakeoff")})
        provider = TracerProvider(
            resource=resource, span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE)
        )
        exporter = OTLPSpanExporter(endpoint=settings.endpoint + PATH, timeout=SEND_SECONDS)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        read_span_ids_with(_ids)
        return cls(provider)

    def tracer(self, name: str) -> Tracer:
        """Return who begins spans of a part of the platform."""
        return self._provider.get_tracer(name)

    async def stop(self) -> None:
        """Send what is queued, for `STOP_SECONDS` at most, and end the thread."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """As `stop`, in the calling thread."""
        if _Process.tracing is self:
            share_tracing(None)
        # OpenTelemetry has a limit for a batch and none for all that is queued, which this sends: what
        # has not left by then ends with the process.
        ending = threading.Thread(target=self._provider.shutdown, name="end of traces", daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)


class _Process:
    """What code without a way of its own, such as signals of Celery, sends through."""

    tracing: Tracing | None = None


def share_tracing(tracing: Tracing | None) -> None:
    """Let signals of this process send spans, too, and what it starts continue its traces."""
    from bakeoff.telemetry.continued_traces import trace_hooks  # noqa: PLC0415  for who traces

    _Process.tracing = tracing
    continue_traces_with(None if tracing is None else trace_hooks(tracing))


def shared_tracing() -> Tracing | None:
    """Return what `share_tracing` was called with, until it is closed."""
    return _Process.tracing


def _ids() -> tuple[str, str] | None:
    from opentelemetry.trace import get_current_span  # noqa: PLC0415  an extra

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"
