"""Spans of generations, as a receiver of OTLP over HTTP gets them."""

from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace

import pytest

from bakeoff.environment import SettingError, read_environment
from bakeoff.telemetry.trace_settings import CONTENT, ENDPOINT, TraceSettings
from tests.support.fast_lane import FastLane, test_database_url
from tests.support.generating import make_chat
from tests.support.provider import KEY, refuses, says
from tests.support.receiver import Receiver

SECRET_TEXT = "My order is 4711."


def traced(provider, url: str, *, content: bool = False, **generate):
    """A surface on a fast lane of its own that sends spans; stopping it sends what is queued."""
    settings = TraceSettings(url, content)
    lane = FastLane(replace(read_environment(), database_url=test_database_url(), traces=settings))
    chat = make_chat(lane, provider, **generate)
    chat.add(parameters={"temperature": 0.2})
    return chat


def ask(chat, **fields):
    return chat.ask(messages=[{"role": "user", "content": SECRET_TEXT}], max_tokens=50, **fields)


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


def spans(receiver: Receiver) -> list[tuple[object, dict]]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for request in receiver.received:
        assert request.path == "/v1/traces"
        packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if packed else request.body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: value_of(one.value) for one in resource.resource.attributes}
            assert names["service.name"] == "bakeoff-web"
            for scope in resource.scope_spans:
                found += [
                    (span, {one.key: value_of(one.value) for one in span.attributes})
                    for span in scope.spans
                ]
    return found


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_a_generation_is_a_span_without_its_texts(tables, provider, receiver):
    provider.behave = says("On its way.")
    chat = traced(provider, receiver.url, store="full")
    answer = ask(chat, stream=True, user="ann")
    assert answer.status_code == 200
    chat.lane.stop()
    ((span, facts),) = spans(receiver)
    assert span.name == "chat small"
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "test",
        "gen_ai.request.model": "small",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.id": str(chat.last().recommendation_id),
        "gen_ai.usage.input_tokens": chat.last().generation["tokens_in"],
        "gen_ai.usage.output_tokens": chat.last().generation["tokens_out"],
        "bakeoff.project": chat.project.slug,
        "bakeoff.surface": "support",
        "bakeoff.version": "prompt@1",
        "bakeoff.outcome": "completed",
        "bakeoff.streamed": True,
    }.items() <= facts.items()
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9
    body = b"".join(
        one.body if one.body[:1] != b"\x1f" else gzip.decompress(one.body) for one in receiver.received
    )
    for text in (SECRET_TEXT, "On its way.", "You help.", KEY, "ann", chat.secret):
        assert text.encode() not in body


def test_a_failure_is_an_error_and_names_who_gave_nothing(tables, provider, receiver):
    provider.behave = refuses(500, KEY)
    chat = traced(provider, receiver.url)
    assert ask(chat).status_code == 502
    chat.lane.stop()
    ((span, facts),) = spans(receiver)
    assert span.status.code == 2  # ERROR
    assert facts["error.type"] == "model_error"
    (event,) = span.events
    assert {one.key: value_of(one.value) for one in event.attributes}["gen_ai.provider.name"] == "test"


@pytest.mark.parametrize(("store", "there"), [("full", True), ("none", False)])
def test_texts_go_along_where_they_are_switched_on_and_stored(tables, provider, receiver, store, there):
    chat = traced(provider, receiver.url, content=True, store=store)
    assert ask(chat).status_code == 200
    chat.lane.stop()
    ((_, facts),) = spans(receiver)
    assert (SECRET_TEXT in facts.get("gen_ai.input.messages", "")) is there
    assert ("gen_ai.output.messages" in facts) is there


def test_no_answer_waits_for_a_receiver_that_is_away(tables, provider):
    chat = traced(provider, "http://127.0.0.1:1")
    for _ in range(3):
        assert ask(chat).status_code == 200
    chat.lane.stop()


def test_without_the_setting_nothing_of_it_is_imported():
    # redis-py loads the SDK's metrics where it is installed: ours are traces and their way out.
    ours = ("opentelemetry.sdk.trace.export", "opentelemetry.exporter")
    script = f"import sys, bakeoff.gateway.app; print([one for one in sys.modules if one.startswith({ours})])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_place_and_a_missing_extra_are_sentences(monkeypatch):
    monkeypatch.setenv(ENDPOINT, "collector:4318")
    with pytest.raises(SettingError, match=f"{ENDPOINT} == 'collector:4318', must be a URL"):
        read_environment()
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318/")
    monkeypatch.setenv(CONTENT, "1")
    assert read_environment().traces == TraceSettings("http://127.0.0.1:4318", content=True)
    monkeypatch.setattr("bakeoff.telemetry.trace_settings.find_spec", lambda _name: None)
    with pytest.raises(SettingError, match=r"pip install 'bakeoff\[otel\]'"):
        read_environment()
