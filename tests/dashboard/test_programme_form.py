"""The form of a programme: what is sent, what is refused and where, and what stays as it was."""

from __future__ import annotations

from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from experiments.actions.change_programme import change_programme
from experiments.models import Metric, programme_of
from experiments.programme.settings import SETTINGS, settings_of
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.form_reader import read_form
from tests.support.html import has


def address_of(shop):
    return reverse("autopilot-edit", args=[shop.project.slug, shop.surface.key])


def open_form(shop):
    client = sign_in(shop.project, role="operator")
    return client, read_form(client.get(address_of(shop)).content.decode(), "programme")


def settings(shop):
    return settings_of(programme_of(shop.surface))


def test_a_form_that_is_sent_as_it_was_read_changes_nothing(shop):
    builders.set_programme(
        shop,
        holdback_share=0.07,
        breaker_alpha=0.0005,
        ramp=[{"share": 1 / 3, "minimum_seconds": 100.0, "units": 12}],
        guardrails=[{"metric": "serving-errors", "margin": 0.07}],
    )
    before, entries = settings(shop), AuditEntry.objects.filter(project=shop.project).count()
    client, sent = open_form(shop)
    assert client.post(address_of(shop), sent).status_code == 302
    assert settings(shop) == before
    assert AuditEntry.objects.filter(project=shop.project).count() == entries


def test_every_setting_can_be_edited(shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    client, sent = open_form(shop)
    typed = {
        "primary_metric": shop.metric.key, "ship_when": "valuable", "approval": "two_persons",
        "holdback_share": "5", "holdback_days": "14", "cooldown_days": "2.5", "breaker_alpha": "0.2",
        "interleave_first": "2", "refresh": "always", "paused": "on", "guardrails-0-metric": "orders", "guardrails-0-margin": "3",
        "ramp-0-share": "2", "ramp-0-hours": "0.5", "ramp-0-units": "70", "ramp-1-share": "",
    }  # fmt: skip
    assert client.post(address_of(shop), sent | typed).status_code == 302
    assert settings(shop) == {
        "primary_metric": shop.metric.key,
        "guardrails": [{"metric": "orders", "margin": 0.03}],
        "ramp": [
            {"share": 0.02, "minimum_seconds": 1800.0, "units": 70},
            {"share": 0.5, "minimum_seconds": 0.0},
        ],
        "ship_when": "valuable",
        "holdback_share": 0.05,
        "holdback_days": 14.0,
        "cooldown_days": 2.5,
        "approval": "two_persons",
        "breaker_alpha": 0.002,
        "interleave_first": 2,
        "refresh": "always",
        "paused": True,
    }
    entry = AuditEntry.objects.filter(project=shop.project).latest("id")
    assert entry.action == "change programme"
    assert set(entry.detail["changed"]) == set(SETTINGS)


def test_what_somebody_else_changed_meanwhile_stays(shop):
    client, sent = open_form(shop)
    change_programme(surface=shop.surface, changes={"holdback_days": 7}, by="ann")
    assert client.post(address_of(shop), sent | {"cooldown_days": "3"}).status_code == 302
    assert (settings(shop)["holdback_days"], settings(shop)["cooldown_days"]) == (7.0, 3.0)


def test_a_refusal_stands_at_its_setting_and_keeps_what_was_typed(shop):
    client, sent = open_form(shop)
    before = settings(shop)
    wrong = {"holdback_share": "26", "ramp-1-share": "51", "cooldown_days": "3"}
    answer = client.post(address_of(shop), sent | wrong)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count("Ensure this value is less than or equal to 25") == 1
    assert page.count("Ensure this value is less than or equal to 50") == 1
    assert has(page, name="cooldown_days", value="3")
    falling = client.post(address_of(shop), sent | {"ramp-1-share": "0.5"})
    assert falling.status_code == 422
    assert (
        "Each step must be above the one before: 0.005 is not above 0.01." in falling.content.decode()
    )
    assert settings(shop) == before


def test_a_guardrail_needs_a_margin(shop):
    client, sent = open_form(shop)
    answer = client.post(address_of(shop), sent | {"guardrails-0-metric": shop.metric.key})
    assert answer.status_code == 422
    assert "Fill this in; it must not be empty." in answer.content.decode()
