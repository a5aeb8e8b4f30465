"""Spans of generations, as a receiver of OTLP over HTTP gets them."""

from __future__ import annotations

import pytest

from tests.support.generating import make_chat
from tests.support.provider import KEY, refuses, says
from tests.support.receiver import Receiver
from tests.support.spans import bodies, spans_named, traced_lane, value_of

SECRET_TEXT = "My order is 4711."


def traced(provider, url: str, *, content: bool = False, **generate):
    """A surface on a fast lane of its own that sends spans; stopping it sends what is queued."""
    chat = make_chat(traced_lane(url, content=content), provider, **generate)
    chat.add(parameters={"temperature": 0.2})
    return chat


def ask(chat, **fields):
    return chat.ask(messages=[{"role": "user", "content": SECRET_TEXT}], max_tokens=50, **fields)


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
    (sent,) = spans_named(receiver, "chat small")
    span, facts = sent.span, sent.facts
    (request,) = spans_named(receiver, "POST /v1/chat/completions")
    assert (sent.parent, sent.trace_id) == (request.id, request.trace_id)
    assert request.facts["http.response.status_code"] == 200
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
    body = b"".join(bodies(receiver))
    for text in (SECRET_TEXT, "On its way.", "You help.", KEY, "ann", chat.secret):
        assert text.encode() not in body


def test_a_failure_is_an_error_and_names_who_gave_nothing(tables, provider, receiver):
    provider.behave = refuses(500, KEY)
    chat = traced(provider, receiver.url)
    assert ask(chat).status_code == 502
    chat.lane.stop()
    (sent,) = spans_named(receiver, "chat small")
    span, facts = sent.span, sent.facts
    assert span.status.code == 2  # ERROR
    assert facts["error.type"] == "model_error"
    (event,) = span.events
    assert {one.key: value_of(one.value) for one in event.attributes}["gen_ai.provider.name"] == "test"


@pytest.mark.parametrize(("store", "there"), [("full", True), ("none", False)])
def test_texts_go_along_where_they_are_switched_on_and_stored(tables, provider, receiver, store, there):
    chat = traced(provider, receiver.url, content=True, store=store)
    assert ask(chat).status_code == 200
    chat.lane.stop()
    facts = spans_named(receiver, "chat small")[0].facts
    assert (SECRET_TEXT in facts.get("gen_ai.input.messages", "")) is there
    assert ("gen_ai.output.messages" in facts) is there


def test_no_answer_waits_for_a_receiver_that_is_away(tables, provider):
    chat = traced(provider, "http://127.0.0.1:1")
    for _ in range(3):
        assert ask(chat).status_code == 200
    chat.lane.stop()
