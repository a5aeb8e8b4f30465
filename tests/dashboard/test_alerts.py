"""The page of alerts: the secret is shown once, viewers see no buttons, rows do not add queries."""

from __future__ import annotations

import re
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bakeoff.alerts.models import Alert
from tests.support import alerts, builders
from tests.support.dashboard import sign_in
from tests.support.html import has

HOOK = "https://hooks.example/bakeoff"


def test_a_secret_is_shown_once_and_a_rotated_one_is_another(project):
    admin = sign_in(project, role="admin")
    page = reverse("alerts", args=[project.slug])
    body = {"name": "ops", "kind": "webhook", "target": HOOK}
    created = admin.post(f"{page}subscribe/", body, follow=True).content.decode()
    hook = project.subscriptions.get()
    assert hook.secret in created.replace("&#x27;", "'")
    assert "whsec_" not in admin.get(page).content.decode()
    rotated = admin.post(f"{page}{hook.pk}/rotate/", follow=True).content.decode()
    (shown,) = re.findall(r"whsec_[\w+/=]+", rotated)
    hook.refresh_from_db()
    assert shown == hook.secret


def test_a_refusal_is_a_sentence_and_nothing_is_stored(project):
    admin = sign_in(project, role="admin")
    page = reverse("alerts", args=[project.slug])
    body = {"name": "ops", "kind": "webhook", "target": "https://127.0.0.2/x"}
    answer = admin.post(f"{page}subscribe/", body, follow=True).content.decode()
    assert "is not a public address, and BAKEOFF_OUTGOING_ALLOW does not name it." in answer
    assert not project.subscriptions.exists()


def test_a_viewer_sees_what_was_delivered_and_no_button(project):
    dead = alerts.dead_delivery(project)
    alerts.subscribe(project, "https://hooks.slack.example/T1/token", kind="slack", name="chat")
    page = sign_in(project, role="viewer").get(reverse("alerts", args=[project.slug])).content.decode()
    assert has(page, data_delivery=str(dead.pk), data_state="dead")
    assert has(page, data_subscription="chat")
    assert "T1/token" not in page
    assert "<button>" not in page.partition('<main id="content">')[2]


def test_more_rows_need_no_more_queries(project):
    alerts.dead_delivery(project)
    viewer = sign_in(project, role="viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            viewer.get(reverse("alerts", args=[project.slug]) + "?state=dead")
        return len(captured)

    queries()  # the first fills caches
    few = queries()
    for number in range(5):
        alerts.dead_delivery(project, name=f"more-{number}")
    assert queries() == few


def test_alerts_are_shown_without_a_subscription(project):
    alert = alerts.alert(project, event="drift")
    page = sign_in(project, role="viewer").get(reverse("alerts", args=[project.slug])).content.decode()
    assert has(page, data_alert=str(alert.pk), data_event="drift")


def test_alerts_that_nobody_delivers_are_a_health_issue(project):
    alert = alerts.alert(project)
    viewer = sign_in(project, role="viewer")
    Alert.objects.filter(fanned_out_at=None).update(fanned_out_at=builders.now())
    assert "taken up for a minute" not in viewer.get(reverse("health")).content.decode()
    ago = builders.now() - timedelta(minutes=2)
    Alert.objects.filter(pk=alert.pk).update(created_at=ago, fanned_out_at=None)
    page = viewer.get(reverse("health")).content.decode()
    assert "alerts that no worker has taken up for a minute: 1" in page


def test_dead_letters_are_a_health_issue(project):
    dead = alerts.dead_delivery(project)
    page = sign_in(project, role="viewer").get(reverse("health")).content.decode()
    assert "alerts that could not be delivered: 1" in page
    dead.subscription.delete()
    page = sign_in(project, role="viewer").get(reverse("health")).content.decode()
    assert "alerts that could not be delivered" not in page
