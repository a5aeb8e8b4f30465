"""Deliveries to a real receiver that fails, hangs, closes, redirects: none is lost, none comes under two ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.db import connection
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bakeoff.alerts.models import Delivery, Subscription
from bakeoff.delivery.deliveries import LEASE, Retries
from bakeoff.delivery.edit_subscriptions import (
    SubscriptionChange,
    change_subscription,
    rotate_secret,
    send_test,
)
from bakeoff.delivery.resend import ResendRefusedError, resend_dead, resend_delivery
from tests.support import alerts, builders
from tests.support.fast_lane import test_database_url
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

DAY = timedelta(days=1).total_seconds()
HANG_SECONDS = 1.0  # instead of ten, for receivers that hang


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()
    Subscription.objects.all().delete()  # nothing of one test is due in the next


@pytest.fixture
def clock(tables):
    return alerts.Clock()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("bakeoff.delivery.send.SEND_SECONDS", HANG_SECONDS)


def test_a_webhook_is_signed_so_that_the_standards_own_library_accepts_it(project, receiver, clock):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    alert = alerts.alert(project, detail={"lift": 0.031}, path="/experiments/shop/trial-1/")
    alerts.deliver_all(clock)
    (request,) = receiver.received
    assert request.id == str(alert.pk)
    assert Webhook(hook.secret).verify(request.body, request.headers) == request.json
    assert request.json["type"] == "verdict"
    assert request.json["data"] == {
        "id": str(alert.pk), "project": project.slug, "subject": "trial-1",
        "summary": "Shipped two-tower@1.", "detail": {"lift": 0.031}, "url": None,
    }  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        Webhook(hook.secret).verify(request.body + b" ", request.headers)
    delivery = alerts.delivery_of(hook)
    assert (delivery.state, delivery.attempts, delivery.response_status) == ("delivered", 1, 204)


def test_while_a_secret_is_rotated_both_sign_and_then_the_new_one_alone(project, receiver, clock):
    hook = alerts.subscribe(project, receiver.url)
    old = hook.secret
    new = rotate_secret(subscription=hook, by="a test").secret
    alerts.alert(project)
    alerts.deliver_all(clock)
    for secret in (old, new):
        Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)
    clock.forward(DAY + 60)
    alerts.alert(project)
    alerts.deliver_all(clock)
    Webhook(new).verify(receiver.received[-1].body, receiver.received[-1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.received[-1].body, receiver.received[-1].headers)


def test_an_alert_goes_to_who_subscribed_to_it_and_to_no_other_project(project, receiver, clock):
    alerts.subscribe(project, f"{receiver.url}/all")
    alerts.subscribe(project, f"{receiver.url}/drift", events=["drift"])
    paused = alerts.subscribe(project, f"{receiver.url}/paused")
    change_subscription(subscription=paused, change=SubscriptionChange(enabled=False), by="a test")
    alerts.subscribe(builders.make_project(), f"{receiver.url}/other")
    alerts.alert(project)
    alerts.deliver_all(clock)
    assert [one.path for one in receiver.received] == ["/all"]


def closes(handler) -> None:
    handler.connection.close()


def answers_with_too_much(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"x" * 200_000)


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (500, 500, "status == 500, must be 2xx."),
        (404, 404, "status == 404, must be 2xx."),
        (307, 307, "status == 307, must be 2xx; redirects are not followed."),
        (closes, None, "gave no usable answer"),
        (answers_with_too_much, None, "gave no usable answer"),
    ],
    ids=["500", "404", "redirect", "closes", "endless"],
)
def test_a_failed_delivery_is_tried_again_with_its_id_until_it_is_taken(
    project, receiver, clock, answer, status, error
):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    receiver.answers["/hook"] = answer
    alert = alerts.alert(project)
    alerts.deliver_all(clock)
    delivery = alerts.delivery_of(hook)
    assert (delivery.state, delivery.response_status) == ("waiting", status)
    assert error in delivery.last_error
    assert delivery.next_at > clock.now
    alerts.deliver_all(clock)  # it is not due yet
    assert len(receiver.received) == 1

    receiver.answers.clear()
    clock.forward(10)
    alerts.deliver_all(clock)
    assert {one.id for one in receiver.of("/hook")} == {str(alert.pk)}
    assert len(receiver.received) == 2  # and nothing came to /elsewhere
    assert alerts.delivery_of(hook).state == "delivered"
    Webhook(hook.secret).verify(receiver.received[-1].body, receiver.received[-1].headers)


def test_a_receiver_that_answers_late_has_its_attempts_counted_as_failures(
    project, receiver, clock, impatient
):
    hook = alerts.subscribe(project, f"{receiver.url}/late")
    ended = threading.Event()
    receiver.answers["/late"] = lambda _handler: ended.wait(60)
    alerts.alert(project)
    alerts.deliver_all(clock)
    assert "gave no usable answer within 1000 ms" in alerts.delivery_of(hook).last_error
    ended.set()


def test_after_a_day_a_delivery_is_dead_until_a_person_sends_it_again(project, receiver, clock):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    receiver.answers["/hook"] = 503
    alert = alerts.alert(project)
    started = clock.now
    attempts = 0
    while (delivery := hook.deliveries.first()) is None or delivery.state == "waiting":
        if delivery is not None:
            clock.now = delivery.next_at
        alerts.deliver_all(clock)
        attempts += 1
        assert attempts < 60
    assert delivery.state == "dead"
    assert clock.now == started + timedelta(days=1)
    assert 15 <= delivery.attempts <= 30  # minutes apart at first, two hours later on
    alerts.deliver_all(clock)
    assert len(receiver.received) == delivery.attempts

    receiver.answers.clear()
    again = resend_delivery(delivery=delivery, by="a test")
    assert again.first_tried_at is None
    with pytest.raises(ResendRefusedError, match="state == 'waiting'"):
        resend_delivery(delivery=delivery, by="a test")
    clock.now = max(clock.now, again.next_at)
    alerts.deliver_all(clock)
    assert alerts.delivery_of(hook).state == "delivered"
    assert {one.id for one in receiver.received} == {str(alert.pk)}


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(project, receiver, clock):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    receiver.answers["/hook"] = 410
    alerts.alert(project)
    alerts.deliver_all(clock)
    assert alerts.delivery_of(hook).state == "dead"
    receiver.answers.clear()
    assert resend_dead(subscription=hook, by="a test") == 1
    clock.forward(60)
    alerts.deliver_all(clock)
    assert alerts.delivery_of(hook).state == "delivered"


def test_receivers_that_hang_hold_up_nobody_elses_deliveries(project, receiver, clock):
    ended = threading.Event()
    receiver.answers["/hang"] = lambda _handler: ended.wait(60)
    for _ in range(12):
        alerts.subscribe(project, f"{receiver.url}/hang")
    for _ in range(3):
        alerts.alert(project)
    other = builders.make_project()
    alerts.subscribe(other, f"{receiver.url}/quick")
    for _ in range(3):
        alerts.alert(other)
    with alerts.dispatching(clock, slots=6) as dispatcher:
        wait_until(lambda: dispatcher.turn() is not None and len(receiver.of("/quick")) == 3)
        wait_until(lambda: len(receiver.of("/hang")) == 4)  # of twelve: a project's share of the slots
        assert dispatcher.turn() == 0
        ended.set()


def test_two_workers_never_send_one_delivery_at_once(project, receiver, clock):
    projects = [project, builders.make_project(), builders.make_project()]
    for one in projects:
        for _ in range(4):
            alerts.subscribe(one, receiver.url)
        for _ in range(3):
            alerts.alert(one)
    both = threading.Barrier(2)

    def work() -> None:
        both.wait(30)
        alerts.deliver_all(clock)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    alerts.deliver_all(clock)  # what one held while the other looked
    assert len(receiver.received) == 36
    assert len({one.id for one in receiver.received}) == 9
    assert set(Delivery.objects.filter(alert__project__in=projects).values_list("attempts", "state")) == {
        (1, "delivered")
    }  # fmt: skip


WORKER = """
import django; django.setup()
from bakeoff.delivery.dispatcher import Dispatcher
dispatcher = Dispatcher()
dispatcher.turn()
dispatcher.wait(600)
dispatcher.turn()
"""


def test_a_delivery_whose_worker_was_killed_after_sending_comes_again_with_its_id(
    project, receiver, clock
):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    ended = threading.Event()
    receiver.answers["/hook"] = lambda _handler: ended.wait(60)
    alert = alerts.alert(project)
    environment = {**os.environ, "DATABASE_URL": test_database_url()}
    worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)
    wait_until(lambda: receiver.received)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    ended.set()

    receiver.answers.clear()
    clock.now = builders.now()
    alerts.deliver_all(clock)  # the dead worker's lease still holds
    assert len(receiver.received) == 1
    clock.forward(LEASE.total_seconds() + 1)
    alerts.deliver_all(clock)
    assert [one.id for one in receiver.received] == [str(alert.pk)] * 2
    assert receiver.received[0].body == receiver.received[1].body
    assert (alerts.delivery_of(hook).state, alerts.delivery_of(hook).attempts) == ("delivered", 2)


def test_a_worker_that_was_frozen_beyond_its_lease_writes_nothing(project, receiver, clock):
    hook = alerts.subscribe(project, f"{receiver.url}/hook")
    ended = threading.Event()
    receiver.answers["/hook"] = lambda _handler: ended.wait(60)
    alerts.alert(project)
    with alerts.dispatching(clock) as frozen:
        frozen.turn()
        wait_until(lambda: receiver.received)
        receiver.answers.clear()
        clock.forward(LEASE.total_seconds() + 1)
        alerts.deliver_all(clock)
        assert alerts.delivery_of(hook).state == "delivered"
        ended.set()  # the frozen one's connection ends without an answer
    delivery = alerts.delivery_of(hook)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("delivered", 2, "")


def test_a_test_goes_to_its_subscription_alone(project, receiver, clock):
    alerts.subscribe(project, f"{receiver.url}/other")
    hook = alerts.subscribe(project, f"{receiver.url}/hook", events=["drift"])
    send_test(subscription=hook, by="anna")
    clock.forward(1)
    alerts.deliver_all(clock)
    (request,) = receiver.received
    assert (request.path, request.json["type"]) == ("/hook", "test")
    assert "sent by anna" in request.json["data"]["summary"]


def test_slack_gets_its_own_format_and_no_name_can_mention_a_channel(project, receiver, clock):
    alerts.subscribe(project, f"{receiver.url}/slack", kind="slack")
    alerts.alert(project, subject="<!channel> a&b")
    alerts.deliver_all(clock)
    message = receiver.received[0].json
    assert "&lt;!channel&gt; a&amp;b" in message["text"]
    (block,) = message["blocks"]
    assert block["text"]["text"].endswith("\nShipped two-tower@1.")
    assert "webhook-signature" not in receiver.received[0].headers


def test_pauses_grow_to_two_hours_and_differ():
    retries = Retries()
    pauses = [retries.pause_after(attempt).total_seconds() for attempt in (1, 2, 3, 8, 200)]
    for pause, middle in zip(pauses, (5, 15, 45, 7200, 7200), strict=True):
        assert 0.75 * middle <= pause <= 1.25 * middle
    assert len({retries.pause_after(1) for _ in range(9)}) > 1


def test_without_permission_no_inner_address_is_called(project, receiver, clock, monkeypatch):
    hook = alerts.subscribe(project, receiver.url)
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "")
    alerts.alert(project)
    alerts.deliver_all(clock)
    assert receiver.received == []
    assert "no address that may be asked" in alerts.delivery_of(hook).last_error


def test_a_clock_that_was_fast_and_is_set_back_delays_nothing(project, receiver, clock):
    receiver.answers["/failing"] = 500
    failing = alerts.subscribe(project, f"{receiver.url}/failing")
    leased = alerts.subscribe(project, f"{receiver.url}/leased")
    alerts.alert(project)
    clock.forward(3600)
    alerts.deliver_all(clock)
    leased.deliveries.update(  # of a worker that was killed in that hour
        state="waiting", delivered_at=None, leased_until=clock.now + LEASE
    )
    clock.forward(-3600)
    receiver.answers.clear()
    alerts.deliver_all(clock)
    assert alerts.delivery_of(failing).state == "delivered"
    assert alerts.delivery_of(leased).state == "delivered"
    assert alerts.delivery_of(leased).attempts == 2
