"""A task continues the trace of the request, the tick of beat, or the task that sent it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from django.conf import settings
from opentelemetry.trace import use_span

from bakeoff.beat import SteadyScheduler
from bakeoff.celery import app
from bakeoff.telemetry.process_spans import process_span
from bakeoff.telemetry.task_spans import trace_tasks
from bakeoff.telemetry.trace_settings import ENDPOINT, TraceSettings
from bakeoff.telemetry.tracing import Tracing, share_tracing, shared_tracing
from experiments.actions.retrain_surface import retrain_surface
from inference.models import TrainingRun
from inference.redis_clients import redis_client
from inference.sending import send
from inference.serving.model_rpc import REQUESTS, answer_requests, encode_request, replies_key
from inference.tasks import run_training
from inference.trace_context import (
    TracedThreads,
    continued_traces,
    current_trace,
    in_current_trace,
)
from tests.support import builders
from tests.support.broker import broker, lose_messages
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_rated_surface
from tests.support.receiver import Receiver
from tests.support.spans import bodies, spans, spans_named, traced_lane
from tests.support.waiting import wait_until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, PRODUCER, CONSUMER = 2, 4, 5  # kinds of OTLP
TICK = "experiments.tasks.count_waiting_usage"


@app.task(name="tests.fail")
def fail() -> None:
    raise ValueError("secret 4711")


@app.task(name="tests.send")
def send_another() -> None:
    send(TICK)


@pytest.fixture
def receiver(tables):
    lose_messages()
    receiver = Receiver()
    trace_tasks(TraceSettings(receiver.url))
    yield receiver
    receiver.close()
    lose_messages()


@pytest.fixture
def cache(tables):
    with redis_client(settings.BAKEOFF.redis_url) as client:
        client.delete(REQUESTS)
        yield client


@pytest.fixture
def tracing(receiver):
    """The way out of this process, as a worker's."""
    tracing = Tracing.open(TraceSettings(receiver.url), service="bakeoff-worker")
    share_tracing(tracing)
    yield tracing
    tracing.close()


def headers_of_messages(queue: str) -> list[dict]:
    return [json.loads(body)["headers"] for body in reversed(broker().lrange(queue, 0, -1))]


def test_a_message_carries_the_trace_of_the_request_that_sent_it(shop, receiver):
    rows = [
        builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}") for n in range(40)
    ]
    builders.write(builders.Rows(events=rows))
    shop.surface.liked_events = ["click"]
    shop.surface.save()
    lane = traced_lane(receiver.url)
    answer = lane.post("/v1/surfaces/home-feed/training-runs", {"algorithm": "popularity"}, shop.secret)
    assert answer.status_code in {200, 201, 202}, answer.text
    lane.stop()
    run = TrainingRun.objects.get(surface=shop.surface)
    (headers,) = headers_of_messages("train")
    assert headers["argsrepr"] == f"({run.pk},)"
    (request,) = (one for one in spans(receiver) if one.span.kind == SERVER)
    assert (request.name, request.facts["bakeoff.project"]) == (
        "POST /v1/surfaces/<key>/training-runs",
        shop.project.slug,
    )
    (message,) = spans_named(receiver, "send inference.tasks.train_in_turn")
    assert (message.trace_id, message.parent) == (request.trace_id, request.id)
    assert message.span.kind == PRODUCER
    assert headers["traceparent"].startswith(f"00-{message.trace_id}-{message.id}-")
    assert message.facts["messaging.destination.name"] == "train"
    assert message.facts["messaging.message.id"] == headers["id"]


def test_a_tick_of_beat_begins_a_trace_of_its_own(receiver, tracing):
    scheduler = SteadyScheduler(app=app)
    scheduler.tick()
    sent = {headers["task"]: headers for headers in headers_of_messages("default")}
    tracing.close()
    messages = [one for one in spans(receiver) if one.span.kind == PRODUCER]
    assert len(messages) == len(app.conf.beat_schedule)
    assert len({one.trace_id for one in messages}) == len(messages)
    (tick,) = (
        one
        for one in messages
        if one.facts["celery.task_name"] in sent and one.name.endswith("reconcile_rows")
    )
    assert sent["experiments.tasks.reconcile_rows"]["traceparent"].split("-")[1] == tick.trace_id


def test_a_worker_continues_the_trace_of_its_message(receiver, tracing):
    send(TICK)
    variables = {
        "DATABASE_URL": test_database_url(), ENDPOINT: receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100"
    }  # fmt: skip
    worker = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "-A", "bakeoff.celery", "worker", "--pool", "solo",
            "--queues", "default", "--loglevel", "WARNING", "--hostname", "traced@test",
        ],
        env={**os.environ, **variables},
    )  # fmt: skip
    try:
        name = f"process {TICK}"
        wait_until(lambda: spans_named(receiver, name), "a span of the worker's task")
        tracing.close()
        (task,) = spans_named(receiver, name)
        (message,) = spans_named(receiver, f"send {TICK}")
        assert (task.trace_id, task.parent) == (message.trace_id, message.id)
        assert (task.service, task.span.kind) == ("bakeoff-worker", CONSUMER)
        assert task.facts["celery.state"] == "SUCCESS"
        assert task.facts["messaging.message.id"] == message.facts["messaging.message.id"]
        assert task.facts["messaging.destination.name"] == "default"
    finally:
        worker.terminate()
        assert worker.wait(60) == 0


def test_what_a_task_sends_belongs_to_its_trace(receiver, tracing):
    send_another.apply()
    fail.apply()
    tracing.close()
    (task,) = spans_named(receiver, "process tests.send")
    (message,) = spans_named(receiver, f"send {TICK}")
    (after,) = spans_named(receiver, "process tests.fail")
    assert (message.trace_id, message.parent) == (task.trace_id, task.id)
    assert after.trace_id != task.trace_id  # it ended with its task


def test_a_task_that_fails_is_an_error_without_its_message(receiver, tracing):
    fail.apply()
    tracing.close()
    (task,) = spans_named(receiver, "process tests.fail")
    assert (task.facts["error.type"], task.facts["celery.state"]) == ("ValueError", "FAILURE")
    assert task.span.status.code == 2  # ERROR
    assert b"4711" not in b"".join(bodies(receiver))


def test_a_process_that_traces_nothing_sends_no_trace(receiver):
    send(TICK)
    assert "traceparent" not in headers_of_messages("default")[0]
    assert send_another.apply().state == "SUCCESS"


def test_a_training_continues_its_tasks_trace_in_a_process_of_its_own(receiver, tracing, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    monkeypatch.setenv(ENDPOINT, receiver.url)
    # In which somebody started the worker; its tasks' traces are others.
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    monkeypatch.setenv("TRACESTATE", "outer=1")
    surface = make_rated_surface()
    for algorithm, params in (("popularity", {}), ("two-tower", {"width": "secret 4711"})):
        run = retrain_surface(surface=surface, algorithm=algorithm, trigger="a test")
        TrainingRun.objects.filter(pk=run.pk).update(params=params)
        run_training.apply(args=[run.pk])
    tracing.close()
    tasks = spans_named(receiver, "process inference.tasks.run_training")
    trained, refused = spans_named(receiver, "train")
    assert [trained.parent, refused.parent] == [task.id for task in tasks]
    assert (trained.trace_id, trained.service) == (tasks[0].trace_id, "bakeoff-training")
    assert (trained.facts["process.exit.code"], trained.span.status.code) == (0, 0)
    assert (refused.facts["process.exit.code"], refused.span.status.code) == (1, 2)
    assert (trained.span.trace_state, refused.span.trace_state) == ("", "")
    assert trained.facts["process.pid"] != os.getpid()
    assert b"4711" not in b"".join(bodies(receiver))


def test_a_worker_answers_a_model_in_its_requests_traces(receiver, tracing, cache):
    spans_of_requests = [tracing.tracer("a test").start_span(name) for name in ("one", "two")]
    requests = []
    for span in spans_of_requests:
        with use_span(span, end_on_exit=True):
            requests.append(current_trace())
    continued = partial(continued_traces, "answer model")
    for number, trace in enumerate(
        [*requests, None]
    ):  # the last comes of a process that traces nothing
        request = encode_request(number, "web", "digest", time.time() + 60, {}, trace=trace)
        cache.rpush(REQUESTS, request)
    assert answer_requests(cache, lambda _, questions: [[1.0]] * len(questions), continued) == 3

    def fail(*_):
        raise ValueError("secret 4711")

    cache.rpush(REQUESTS, encode_request(3, "web", "digest", time.time() + 60, {}, trace=requests[0]))
    answer_requests(cache, fail, continued)
    assert [json.loads(one)[:2] for one in cache.lrange(replies_key("web"), 0, 2)] == [
        [0, [1.0]], [1, [1.0]], [2, [1.0]]
    ]  # fmt: skip
    tracing.close()
    one, two, failed = spans_named(receiver, "answer model")
    assert [one.parent, two.parent] == [trace["traceparent"].split("-")[2] for trace in requests]
    assert (one.facts, one.span.kind) == ({"bakeoff.batch": 3}, SERVER)
    assert (failed.facts["error.type"], failed.span.status.code) == ("ValueError", 2)
    assert b"4711" not in b"".join(bodies(receiver))


def test_threads_work_in_the_trace_of_who_submits_to_them(receiver, tracing):
    with use_span(tracing.tracer("a test").start_span("a task"), end_on_exit=True):
        trace = current_trace()
        with TracedThreads(2) as threads:
            assert list(threads.map(lambda _: current_trace(), range(4))) == [trace] * 4
    assert trace["traceparent"]
    tracing.close()
    assert current_trace() == {}


def test_a_command_is_a_span_with_its_status_and_none_of_its_arguments(shop, receiver, console):
    variables = {ENDPOINT: receiver.url, "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}
    slug = shop.project.slug
    console("users", "list", **variables)
    console("users", "reset-password", "secret-4711", "--project", slug, status=2, **variables)
    (good,) = spans_named(receiver, "bakeoff users list")
    (bad,) = spans_named(receiver, "bakeoff users reset-password")
    assert (good.trace_id, good.parent, good.service) == (TRACE, SPAN, "bakeoff-command")
    assert (good.facts["process.exit.code"], good.span.status.code) == (0, 0)
    assert (bad.facts["process.exit.code"], bad.span.status.code) == (2, 2)
    assert b"4711" not in b"".join(bodies(receiver))


def test_what_a_command_sends_belongs_to_its_trace(receiver, monkeypatch):
    monkeypatch.setenv(ENDPOINT, receiver.url)
    with process_span("bakeoff train", service="bakeoff-command"):
        send(TICK)
        (headers,) = headers_of_messages("default")
        # A process that it starts is the command's child, as the message is.
        trace = in_current_trace({})["TRACEPARENT"].split("-")
    assert headers["traceparent"].split("-")[1] == trace[1]
    (command,) = spans_named(receiver, "bakeoff train")
    (message,) = spans_named(receiver, f"send {TICK}")
    assert (message.trace_id, message.parent) == (command.trace_id, command.id) == tuple(trace[1:3])


def test_a_command_says_nothing_of_a_receiver_that_is_away(monkeypatch, caplog):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setattr("bakeoff.telemetry.tracing.SEND_SECONDS", 0.1)
    with process_span("bakeoff power", service="bakeoff-command"):
        assert shared_tracing() is not None
    assert caplog.text == ""
    assert shared_tracing() is None


def test_the_end_of_a_process_waits_no_longer_however_many_batches_are_queued(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    monkeypatch.setattr("bakeoff.telemetry.tracing.SEND_SECONDS", 10)
    monkeypatch.setattr("bakeoff.telemetry.tracing.STOP_SECONDS", 0.2)
    released = threading.Event()

    def hold(handler):
        released.wait(60)
        handler.send_response(200)
        handler.send_header("content-length", "0")
        handler.end_headers()

    receiver.answers["/v1/traces"] = hold
    tracing = Tracing.open(TraceSettings(receiver.url), service="bakeoff-worker")
    for _ in range(3):
        tracing.tracer("a test").start_span("queued").end()
    started = time.monotonic()
    try:
        tracing.close()
        assert time.monotonic() - started < 10  # which each of them may take
    finally:
        released.set()
    wait_until(lambda: len(spans_named(receiver, "queued")) == 3, "it sends on while the process lives")


def test_what_the_broker_does_not_take_ends_no_span_of_another_message(receiver, tracing, monkeypatch):
    def refuse(*_args, **_options):
        raise ConnectionError("no broker")

    with monkeypatch.context() as away:
        away.setattr("kombu.Producer.publish", refuse)
        assert not send(TICK)
    assert send("inference.tasks.build_item_indexes")
    tracing.close()
    assert [one.name for one in spans(receiver)] == ["send inference.tasks.build_item_indexes"]
