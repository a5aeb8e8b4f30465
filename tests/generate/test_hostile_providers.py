"""Providers that misbehave on purpose: each time there is an answer, and one record that says what happened."""

from __future__ import annotations

import json
import socket
import time

import pytest

from experiments.models import Slate
from tests.support.provider import (
    KEY,
    breaks_off,
    chunk,
    drips,
    floods,
    is_silent,
    refuses,
    says,
    sends,
)
from tests.support.waiting import wait_until

LATE = {"first_token_seconds": 0.3, "total_seconds": 0.6}
NOT_UTF8 = b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n'
NO_CHUNKS = b"data: [1, 2]\n\n"
ERROR = b'data: {"error": {"message": "no"}}\n\n'
EMPTY = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
# What the provider does, and the reason of its attempt.
FAULTS = {
    "401": (refuses(401), "unauthorized"),
    "429": (refuses(429), "rate_limited"),
    "500": (refuses(500), "model_error"),
    "400": (refuses(400, f"wrong key {KEY}"), "rejected"),
    "silence": (is_silent(), "timeout"),
    "drip": (drips(), "timeout"),
    "100 MB": (floods(), "model_error"),
    "not UTF-8": (sends(NOT_UTF8), "model_error"),
    "no chunks": (sends(NO_CHUNKS), "model_error"),
    "an error event": (sends(ERROR), "model_error"),
    "nothing": (sends(b""), "model_error"),
    "empty": (sends(EMPTY), "empty"),
}


def replace(chat, **fields):
    chat.surface.versions.update(alias="retired")
    return chat.add(**fields)


@pytest.mark.parametrize("fault", FAULTS)
def test_another_provider_answers_a_stream(chat, fault):
    behave, reason = FAULTS[fault]
    replace(chat, **LATE | {"total_seconds": 30}, fallbacks=[{"provider": "test", "model": "other"}])
    chat.provider.by_model = {"small": behave, "other": says("I can help.")}
    *_, last = chat.stream()
    assert last == "[DONE]"
    facts = chat.last().generation
    assert (facts["outcome"], facts["model"]) == ("completed", "other")
    assert [(one["model"], one["reason"]) for one in facts["attempts"]] == [("small", reason)]
    expected = "timeout" if reason == "timeout" else "model_error"
    assert chat.last().fallback == expected


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [True, False])
def test_without_another_the_client_gets_an_error(chat, fault, stream):
    behave, reason = FAULTS[fault]
    version = replace(chat, **LATE)
    chat.provider.behave = behave if stream or fault != "empty" else says(" ")
    answer = chat.ask(stream=stream)
    assert answer.status_code == (504 if reason == "timeout" else 502), answer.text
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "provider_failed")
    assert KEY not in answer.text
    (slate,) = chat.slates()
    facts = slate.generation
    assert (facts["outcome"], facts["version"]) == ("failed", version.label)
    assert [one["reason"] for one in facts["attempts"]] == [reason]


def test_a_static_text_is_the_last_resort(chat):
    replace(chat, static_text="We are away.")
    chat.provider.behave = refuses(503)
    answer = chat.ask().json()
    assert answer["choices"][0]["message"]["content"] == "We are away."
    assert answer["bakeoff"]["fallback"] == "model_error"
    first, *_, last = chat.stream()
    assert json.loads(first)["choices"][0]["delta"]["content"] == "We are away."
    assert last == "[DONE]"
    assert [one.generation["outcome"] for one in chat.slates()] == ["static", "static"]


def test_half_a_stream_is_recorded_as_broken(chat):
    chat.provider.behave = breaks_off("Half of")
    *events, last = chat.stream()
    assert json.loads(events[0])["choices"][0]["delta"]["content"] == "Half of"
    assert json.loads(last)["error"]["code"] == "stream_broken"
    slate = chat.last()
    assert (slate.generation["outcome"], slate.fallback) == ("broken", "broken")
    assert slate.context["answer"]["content"] == "Half of"
    assert (slate.generation["counted"], slate.generation["tokens_out"]) == ("us", 2)


def test_a_stream_that_stops_to_come_is_broken(chat):
    replace(chat, **LATE)

    def stops(exchange):
        exchange.start_stream()
        exchange.event(chunk({"content": "One"}))
        is_silent()(exchange)

    chat.provider.behave = stops
    assert json.loads(chat.stream()[-1])["error"]["code"] == "stream_broken"
    assert chat.last().generation["outcome"] == "broken"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_cancels_the_provider(chat, stream):
    def one_word(exchange):
        if exchange.streamed:
            exchange.start_stream()
            exchange.event(chunk({"content": "One"}))
        for _ in range(3000):  # until nobody reads any more
            exchange.write(b": wait\n\n" if exchange.streamed else b"")
            time.sleep(0.01)

    chat.provider.behave = one_word if stream else is_silent()
    body = json.dumps(
        {
            "model": "support",
            "user": "u1",
            "stream": stream,
            "messages": [{"role": "user", "content": "?"}],
        }
    ).encode()
    host, port = chat.lane.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {chat.secret}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        wait_until(lambda: chat.provider.exchanges)
        if stream:
            received = b""
            while b"One" not in received:
                received += client.recv(4096)
    wait_until(lambda: Slate.objects.filter(project=chat.project).exists())
    (slate,) = chat.slates()
    assert slate.generation["outcome"] == "cancelled"
    if stream:
        assert slate.context["answer"]["content"] == "One"


def test_a_provider_that_fails_again_and_again_is_left_alone(chat):
    chat.provider.behave = refuses(500)
    reasons = []
    for _ in range(5):
        assert chat.ask().status_code == 502
        reasons.append(chat.last().generation["attempts"][0]["reason"])
    assert reasons == ["model_error"] * 3 + ["breaker_open"] * 2
    assert len(chat.provider.requests) == 3


def test_the_key_goes_to_the_provider_and_stands_nowhere_else(chat):
    chat.provider.behave = says(f"Your key is {KEY}.")
    chat.ask()
    exchange = chat.provider.exchanges[-1]
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert chat.last().context["answer"]["content"] == "Your key is …."
