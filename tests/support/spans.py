"""Spans that a receiver of OTLP over HTTP took, and a fast lane that sends them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bakeoff.environment import read_environment
from bakeoff.telemetry.trace_settings import TraceSettings
from tests.support.fast_lane import FastLane, test_database_url

if TYPE_CHECKING:
    from tests.support.receiver import Receiver


@dataclass(frozen=True)
class SentSpan:
    """One span as it was received.

    Attributes:
        service: name of the process's part.
        span: as OTLP has it.
        facts: its attributes.
    """

    service: str
    span: Any
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent(self) -> str:
        return self.span.parent_span_id.hex()


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


def bodies(receiver: Receiver) -> list[bytes]:
    return [
        gzip.decompress(one.body) if one.headers.get("content-encoding") == "gzip" else one.body
        for one in list(receiver.received)
    ]


def spans(receiver: Receiver) -> list[SentSpan]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    assert {one.path for one in receiver.received} <= {"/v1/traces"}
    return [
        SentSpan(
            service=next(
                value_of(one.value) for one in resource.resource.attributes if one.key == "service.name"
            ),
            span=span,
            facts={one.key: value_of(one.value) for one in span.attributes},
        )
        for body in bodies(receiver)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def spans_named(receiver: Receiver, name: str) -> list[SentSpan]:
    return [one for one in spans(receiver) if one.name == name]


def traced_lane(url: str, *, content: bool = False) -> FastLane:
    """A fast lane of its own that sends spans; stopping it sends what is queued."""
    settings = TraceSettings(url, content)
    return FastLane(replace(read_environment(), database_url=test_database_url(), traces=settings))
