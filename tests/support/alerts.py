"""Subscriptions, alerts, and a dispatcher whose clock the test moves."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from bakeoff.alerts.models import Alert, Delivery, Subscription
from bakeoff.alerts.outbox import record_alert
from bakeoff.delivery.dispatcher import Dispatcher
from bakeoff.delivery.edit_subscriptions import SubscriptionDraft, create_subscription
from tests.support import builders
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bakeoff.accounts.models import Project


def subscribe(project: Project, target: str, *, kind="webhook", events=(), name="") -> Subscription:
    name = name or f"s{project.subscriptions.count() + 1}"
    draft = SubscriptionDraft(name, kind, target, events)
    return create_subscription(project=project, draft=draft, by="a test")


def alert(project: Project, **fields) -> Alert:
    values = {"event": "verdict", "subject": "trial-1", "summary": "Shipped two-tower@1.", **fields}
    record_alert(project.pk, **values)
    return Alert.objects.filter(project=project).latest("created_at")


def dead_delivery(project: Project, *, name="ops") -> Delivery:
    """A delivery to a subscription of its own that was given up."""
    hook = subscribe(project, "https://hooks.example/bakeoff", name=name)
    fanned_out = alert(project)
    Alert.objects.filter(pk=fanned_out.pk).update(fanned_out_at=builders.now())
    return Delivery.objects.create(alert=fanned_out, subscription=hook, state="dead", attempts=18)


class Clock:
    """The time, as a test says."""

    def __init__(self) -> None:
        self.now = builders.now()

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def dispatching(clock: Clock, **options) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(clock=clock, **options)
    try:
        yield dispatcher
    finally:
        dispatcher.__exit__(None, None, None)


def deliver_all(clock: Clock, **options) -> None:
    """Send what is due at the clock's time, and write what came of it."""
    with dispatching(clock, **options) as dispatcher:
        while dispatcher.turn():
            wait_until(lambda: all(one.done() for one in dispatcher._on_their_way))


def delivery_of(subscription: Subscription) -> Delivery:
    return subscription.deliveries.get()
