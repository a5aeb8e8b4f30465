"""A request is a trace: its span, and below it the cache, the model and the commit."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from io import StringIO

import pytest
from django.conf import settings

from bakeoff.environment import SettingError, read_environment
from bakeoff.json_logs import JsonFormatter
from bakeoff.telemetry.trace_settings import (
    CONTENT,
    ENDPOINT,
    SAMPLER,
    SAMPLER_ARG,
    TraceSettings,
)
from inference.redis_clients import redis_client
from inference.serving.model_rpc import REQUESTS
from tests.support.endpoint import Endpoint
from tests.support.endpoint_version import crown_endpoint
from tests.support.receiver import Receiver
from tests.support.spans import bodies, spans, spans_named, traced_lane
from tests.support.waiting import wait_until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, CLIENT, INTERNAL = 2, 3, 1  # kinds of OTLP


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def traced(shop, receiver):
    """A fast lane that sends spans; a second stop does nothing."""
    lane = traced_lane(receiver.url)
    yield lane
    lane.stop()


def recommend(lane, shop, *, sampled: bool = True, **headers):
    headers = {
        "Authorization": f"Bearer {shop.public}",
        "traceparent": f"00-{TRACE}-{SPAN}-0{int(sampled)}",
        **headers,
    }
    body = {"surface": "home-feed", "unit_id": "unit-4711", "k": 3}
    return lane.client.post("/v1/recommend", json=body, headers=headers)


def test_a_request_continues_its_clients_trace_and_names_what_it_waited_for(traced, shop, receiver):
    answer = recommend(traced, shop, **{"x-request-id": "request-7"})
    assert answer.status_code == 200
    traced.stop()
    by_name = {one.name: one for one in spans(receiver)}
    assert set(by_name) == {
        "POST /v1/recommend", "serve recommend", "redis PIPELINE", "postgresql INSERT"
    }  # fmt: skip
    assert {(one.trace_id, one.service) for one in by_name.values()} == {(TRACE, "bakeoff-web")}
    request, serve = by_name["POST /v1/recommend"], by_name["serve recommend"]
    assert (request.parent, request.span.kind) == (SPAN, SERVER)
    assert request.facts == {
        "http.request.method": "POST",
        "http.route": "/v1/recommend",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "bakeoff.request_id": "request-7",
        "bakeoff.key": shop.public[:8],
        "bakeoff.project": shop.project.slug,
    }
    assert (serve.parent, serve.span.kind) == (request.id, INTERNAL)
    assert serve.facts["bakeoff.surface"] == "home-feed"
    assert serve.facts["bakeoff.fallback"] == answer.json()["fallback"]
    read, commit = by_name["redis PIPELINE"], by_name["postgresql INSERT"]
    assert (read.parent, read.span.kind) == (serve.id, CLIENT)
    assert read.facts["bakeoff.cache.answered"] is True
    assert (commit.parent, commit.span.kind) == (request.id, CLIENT)
    assert commit.facts.pop("bakeoff.commit.waited_ms") >= 0
    assert commit.facts == {
        "db.system.name": "postgresql",
        "db.operation.name": "INSERT",
        "bakeoff.commit.rows": 1,
        "bakeoff.commit.requests": 1,
        "bakeoff.durability": "committed",
    }
    sent = b"".join(bodies(receiver))
    for text in (shop.public, "unit-4711", "127.0.0.1"):
        assert text.encode() not in sent


def test_a_model_elsewhere_is_a_span_and_is_sent_the_trace(traced, shop, receiver, monkeypatch):
    endpoint = Endpoint()
    endpoint.behave = lambda request: b"no answer" if request["unit_id"] == "broken" else {
        "scores": [float(len(one)) for one in request["candidates"]]
    }  # fmt: skip
    crown_endpoint(shop, traced, endpoint.url)
    assert recommend(traced, shop).json()["fallback"] is None
    broken = {"surface": "home-feed", "unit_id": "broken"}
    assert traced.post("/v1/recommend", broken, shop.public).json()["fallback"] == "model_error"
    traced.stop()
    endpoint.stop()
    served, failed = spans_named(receiver, "model answer")
    assert served.facts["server.address"] == "127.0.0.1"
    assert served.facts["bakeoff.model_form"] == "endpoint"
    assert f"00-{TRACE}-{served.id}-01" == endpoint.headers[0]["traceparent"]
    assert (served.span.status.code, failed.span.status.code) == (0, 2)  # unset, ERROR
    assert failed.facts["bakeoff.fallback"] == "model_error"


def test_a_worker_is_sent_the_trace_with_its_question(traced, shop, receiver):
    crown_endpoint(shop, traced, "", form="python", entry_point="none", deadline_ms=2_000)
    assert recommend(traced, shop).json()["fallback"] == "timeout"  # no worker is there
    traced.stop()
    (answer,) = spans_named(receiver, "model answer")
    with redis_client(settings.BAKEOFF.redis_url) as cache:
        wait_until(lambda: cache.llen(REQUESTS), "the request waits for a worker")
        request = json.loads(cache.lindex(REQUESTS, -1))
        cache.delete(REQUESTS)
    assert request[5]["traceparent"] == f"00-{TRACE}-{answer.id}-01"


def test_refusals_and_pages_are_spans_and_probes_are_none(traced, shop, receiver):
    lane = traced
    assert lane.post("/v1/recommend", {}, "pk_nobody").status_code == 401
    assert lane.client.get(f"/p/{shop.project.slug}/surfaces/?q=private").status_code == 302
    assert lane.client.get("/reports/none-of-these/").status_code in {302, 404}
    for path in ("/healthz", "/readyz"):
        lane.client.get(path)
    lane.stop()
    refused, page, *_rest = spans(receiver)
    assert refused.facts["http.response.status_code"] == 401
    assert (refused.name, refused.parent) == ("POST /v1/recommend", "")
    assert refused.span.status.code == 0  # the client's fault is none of the server's
    assert page.name == "GET /p/<slug:slug>/surfaces/"
    assert page.facts["bakeoff.project"] == shop.project.slug
    names = {one.name for one in spans(receiver)}
    assert not {name for name in names if "healthz" in name or "readyz" in name}
    sent = b"".join(bodies(receiver))
    for text in (b"private", b"none-of-these"):
        assert text not in sent


@pytest.mark.parametrize("header", ["", "00-xyz-1-01", f"00-{'0' * 32}-{SPAN}-01", "00-\xe9"])
def test_what_is_no_traceparent_begins_a_new_trace(traced, shop, receiver, header):
    answer = recommend(traced, shop, traceparent=header.encode("latin-1"))
    assert answer.status_code == 200
    traced.stop()
    (request,) = spans_named(receiver, "POST /v1/recommend")
    assert (request.parent, len(request.trace_id)) == ("", 32)
    assert request.trace_id not in {TRACE, "0" * 32}


def test_a_failure_is_an_error_of_its_span_and_its_log_names_the_trace(
    traced, shop, receiver, monkeypatch
):
    def fail(*_args, **_options):
        raise ValueError("a defect")

    monkeypatch.setattr("bakeoff.gateway.slates.answer.find_surface", fail)
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("bakeoff.gateway.http.door")
    log.addHandler(handler)
    try:
        assert recommend(traced, shop).status_code == 503
    finally:
        log.removeHandler(handler)
    traced.stop()
    (request,) = spans_named(receiver, "POST /v1/recommend")
    assert (request.facts["error.type"], request.span.status.code) == ("503", 2)
    line = json.loads(stream.getvalue())
    assert (line["trace_id"], line["span_id"]) == (TRACE, request.id)


def test_a_client_may_ask_not_to_be_sampled(traced, shop, receiver):
    assert recommend(traced, shop, sampled=False).status_code == 200
    assert recommend(traced, shop).status_code == 200
    traced.stop()
    assert len(spans_named(receiver, "POST /v1/recommend")) == 1


def test_the_standard_variables_say_which_traces_are_sampled(tables, shop, receiver, monkeypatch):
    monkeypatch.setenv(SAMPLER, "traceidratio")
    monkeypatch.setenv(SAMPLER_ARG, "0")
    lane = traced_lane(receiver.url)
    assert recommend(lane, shop).status_code == 200
    lane.stop()
    assert spans(receiver) == []


def test_no_request_waits_for_a_receiver_that_does_not_answer(tables, shop, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # ms
    # Longer than the client waits: a request that waited would not be answered at all.
    monkeypatch.setattr("bakeoff.telemetry.tracing.SEND_SECONDS", 600)
    released = threading.Event()

    def hold(handler):
        released.wait(60)
        handler.send_response(200)
        handler.send_header("content-length", "0")
        handler.end_headers()

    receiver.answers["/v1/traces"] = hold
    lane = traced_lane(receiver.url)
    try:
        assert recommend(lane, shop).status_code == 200
        wait_until(lambda: receiver.received, "spans are on their way")
        for _ in range(3):
            assert recommend(lane, shop).status_code == 200
        assert len(receiver.received) == 1  # it has not answered yet
    finally:
        released.set()
        lane.stop()
    assert len(spans_named(receiver, "POST /v1/recommend")) == 4


def test_a_browser_may_send_its_trace(lane):
    answer = lane.client.options("/v1/recommend", headers={"Origin": "https://shop.example"})
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"traceparent", "tracestate"} <= set(allowed)


def test_without_the_setting_nothing_of_it_is_imported():
    # redis-py loads the SDK's metrics where it is installed: ours are traces and their way out.
    ours = ("opentelemetry.sdk.trace.export", "opentelemetry.exporter")
    script = f"import sys, bakeoff.gateway.app; print([one for one in sys.modules if one.startswith({ours})])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("sampler", "argument", "sentence"),
    [
        ("often", "", "OTEL_TRACES_SAMPLER == 'often', must be one of always_off, always_on, "),
        ("traceidratio", "", "OTEL_TRACES_SAMPLER_ARG == '', must be a ratio from 0 to 1."),
        ("parentbased_traceidratio", "10%", "OTEL_TRACES_SAMPLER_ARG == '10%', must be a ratio"),
        ("traceidratio", "1.5", "OTEL_TRACES_SAMPLER_ARG == '1.5', must be a ratio from 0 to 1."),
    ],
)
def test_a_sampler_that_would_take_every_trace_is_refused(monkeypatch, sampler, argument, sentence):
    monkeypatch.setenv(SAMPLER, sampler)
    monkeypatch.setenv(SAMPLER_ARG, argument)
    read_environment()  # nothing is traced
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    with pytest.raises(SettingError, match=re.escape(sentence)):
        read_environment()


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
