"""Spans of what a request waits for: children of the span in which the running code works.

Guarantees: in a trace that is not sampled no span is made, which costs some microseconds.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util.types import AttributeValue

    from bakeoff.telemetry.tracing import Tracing


class Spans:
    """Begins spans of one part of the platform; one per part of a process."""

    def __init__(self, tracing: Tracing, scope: str) -> None:
        """Remember the way out.

        Args:
            tracing: of the process.
            scope: name of the part, such as `bakeoff.gateway`.
        """
        # An extra; once, since each request would ask for them several times.
        from opentelemetry.trace import (  # noqa: PLC0415
            SpanKind,
            Status,
            StatusCode,
            get_current_span,
        )

        self._tracer = tracing.tracer(scope)
        self._kinds, self._current_span = SpanKind, get_current_span
        self._error = Status(StatusCode.ERROR)

    def client(
        self, name: str, attributes: Mapping[str, AttributeValue]
    ) -> AbstractContextManager[Span]:
        """Let a span last as long as the block that asks another server."""
        return self._span(name, self._kinds.CLIENT, attributes)

    def internal(
        self, name: str, attributes: Mapping[str, AttributeValue]
    ) -> AbstractContextManager[Span]:
        """Let a span last as long as the block, which works in this process."""
        return self._span(name, self._kinds.INTERNAL, attributes)

    def carried(self) -> dict[str, str]:
        """Return the headers by which a server that is asked continues the trace."""
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  an extra
            TraceContextTextMapPropagator,
        )

        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers)
        return headers

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]
    ) -> Iterator[Span]:
        """Begin a span, which is current in the block, and end it.

        An error that leaves the block is the span's: its class alone, since messages may quote values.
        """
        parent = self._current_span()
        if not parent.is_recording() and parent.get_span_context().is_valid:
            yield parent  # its trace is not sampled: it takes attributes, and forgets them
            return
        with self._tracer.start_as_current_span(
            name,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(self._error)
                raise
