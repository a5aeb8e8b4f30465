"""What prepares each verb of alerts, as `tests/dashboard/test_verbs.py` tries them, and who may."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from tests.support import alerts
from tests.support.builders import Shop
from tests.support.verb_step import Step

OPERATE, ADMINISTER = "operator", "admin"
HOOK = "https://hooks.example/bakeoff"


def subscribe(shop):
    page = reverse("alerts", args=[shop.project.slug])
    body = {"name": "ops", "kind": "webhook", "target": HOOK, "events": ["halt", "drift"]}
    created = shop.project.subscriptions.filter(name="ops", events=["halt", "drift"])
    shows = {"data_subscription": "ops", "data_events": "halt drift"}
    return Step(f"{page}subscribe/", body, created.exists, page, shows)


def of_subscription(verb: str, body: dict[str, Any], *, shows=None, **expected: Any):
    """Return what makes a verb of a subscription; `expected` are its fields afterwards."""

    def prepare(shop: Shop) -> Step:
        hook = alerts.dead_delivery(shop.project).subscription
        page = reverse("alerts", args=[shop.project.slug])
        done = shop.project.subscriptions.filter(pk=hook.pk, **expected)
        return Step(f"{page}{hook.pk}/{verb}", body, done.exists, page, shows or {})

    return prepare


def unsubscribe(shop):
    hook = alerts.subscribe(shop.project, HOOK, name="ops")
    page = reverse("alerts", args=[shop.project.slug])
    deleted = shop.project.subscriptions.filter(pk=hook.pk)
    gone = {"data_subscription": "ops"}
    return Step(f"{page}{hook.pk}/delete/", {}, lambda: not deleted.exists(), page, shows_no_more=gone)


def resend(shop):
    dead = alerts.dead_delivery(shop.project)
    page = reverse("alerts", args=[shop.project.slug])
    waiting = dead.subscription.deliveries.filter(pk=dead.pk, state="waiting")
    shows = {"data_delivery": str(dead.pk), "data_state": "waiting"}
    return Step(f"{page}deliveries/{dead.pk}/resend/", {}, waiting.exists, page, shows)


ALERT_VERBS = {
    "alerts-subscribe": (ADMINISTER, subscribe),
    "alerts-change": (
        ADMINISTER,
        of_subscription("", {"name": "team"}, name="team", events=[], target=HOOK),
    ),
    "alerts-switch": (
        OPERATE,
        of_subscription(
            "switch/", {"enabled": "false"}, enabled=False, shows={"data_enabled": "false"}
        ),
    ),
    "alerts-rotate": (
        ADMINISTER,
        of_subscription("rotate/", {}, previous_secret__startswith="whsec_"),
    ),
    "alerts-test": (OPERATE, of_subscription("test/", {}, deliveries__alert__event="test")),
    "alerts-resend-all": (OPERATE, of_subscription("resend/", {}, deliveries__state="waiting")),
    "alerts-resend": (OPERATE, resend),
    "alerts-delete": (ADMINISTER, unsubscribe),
}
