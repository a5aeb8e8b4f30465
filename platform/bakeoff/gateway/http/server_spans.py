"""A span of each request, by OpenTelemetry's conventions for HTTP servers.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/. It continues the trace that the client's
`traceparent` names. Left out are the path, in which keys, invitations and shared links stand (the
route's template names the operation), the query, and the client's address.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from bakeoff.request_trace import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

    from bakeoff.asgi_types import Scope
    from bakeoff.request_trace import RequestTrace
    from bakeoff.telemetry.tracing import Tracing

# Asked every few seconds by whoever watches: their spans would be most of all.
UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
_CARRIED = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ServerSpans:
    """Begins a span of each request; one in a process."""

    def __init__(self, tracing: Tracing) -> None:
        """Remember the way out."""
        # An extra; once, since each request asks for them.
        from opentelemetry.context import Context, attach, detach  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._tracer = tracing.tracer("bakeoff.gateway")
        self._no_context, self._kind = Context(), SpanKind.SERVER
        self._attach, self._detach = attach, detach
        self._with_span, self._propagator = set_span_in_context, TraceContextTextMapPropagator()

    @contextmanager
    def serving(self, scope: Scope, trace: RequestTrace) -> Iterator[None]:
        """Let a request's span last as long as the block; it is current in the block.

        Args:
            scope: of the request.
            trace: learns in the block which route answered, with which status.
        """
        if trace.route in UNTRACED:
            yield
            return
        carrier = {
            _CARRIED[name]: value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CARRIED
        }
        # Into an empty context: on a connection that stays open this one is the request's before.
        parent = self._no_context
        if carrier:
            parent = self._propagator.extract(carrier, context=parent)
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {"http.request.method": method, "url.scheme": str(scope.get("scheme", "http"))}
        span = self._tracer.start_span(method, context=parent, kind=self._kind, attributes=attributes)
        token = self._attach(self._with_span(span))
        try:
            yield
        finally:
            self._detach(token)
            if span.is_recording():
                _describe(span, method, trace)
            span.end()


def _describe(span: Span, method: str, trace: RequestTrace) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  an extra

    if trace.route != OTHER:
        route = f"/{trace.route.lstrip('/')}"
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("bakeoff.request_id", trace.request_id)
    if trace.key:
        span.set_attribute("bakeoff.key", trace.key)
    if trace.project:
        span.set_attribute("bakeoff.project", trace.project)
    if not trace.status:  # the client left before its answer
        return
    span.set_attribute("http.response.status_code", trace.status)
    if trace.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_attribute("error.type", str(trace.status))
        span.set_status(Status(StatusCode.ERROR))
