"""The programme of a surface: what it may be, who changed it, and two changes at once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from experiments.actions.change_programme import CannotChangeProgrammeError, change_programme
from experiments.ingest.rows import Rows
from experiments.models import Metric, Programme, programme_of
from experiments.programme.settings import settings_of
from experiments.reports.programme_warnings import programme_warnings
from tests.support import builders


@pytest.fixture
def shop(tables):
    return builders.make_shop()


def entries(shop):
    rows = AuditEntry.objects.filter(project=shop.project, action="change programme")
    return [entry.detail["changed"] for entry in rows.order_by("id")]


def step(share, seconds=60.0):
    return {"share": share, "minimum_seconds": seconds}


def test_without_a_change_a_surface_has_the_defaults(shop):
    programme = programme_of(shop.surface)
    assert programme.pk is None
    assert programme.primary_metric is None
    assert [step.share for step in programme.parsed_ramp] == [0.01, 0.1, 0.5]
    assert (programme.holdback_share, programme.breaker_alpha) == (0.03, 0.001)
    assert (programme.approval, programme.refresh) == ("automatic", "non_inferior")
    assert change_programme(surface=shop.surface, changes={}, by="ann").pk is None
    assert entries(shop) == []


def test_a_change_is_stored_with_one_audit_entry(shop):
    changes = {
        "primary_metric": "clicks",
        "ramp": [step(0.1), step(0.5, 0)],
        "approval": "two_persons",
    }
    changed = change_programme(surface=shop.surface, changes=changes, by="ann")
    stored = programme_of(shop.surface)
    assert stored.pk == changed.pk
    assert stored.primary_metric == shop.metric
    assert stored.required_approvals == 2
    (entry,) = entries(shop)
    assert set(entry) == set(changes)
    assert entry["primary_metric"] == [None, "clicks"]
    change_programme(surface=shop.surface, changes=changes, by="ann")
    assert len(entries(shop)) == 1
    change_programme(surface=shop.surface, changes={"primary_metric": None}, by="ann")
    assert programme_of(shop.surface).primary_metric is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("primary_metric", "unknown", r"primary_metric == 'unknown', must be a metric of this project"),
        ("primary_metric", "theirs", r"primary_metric == 'theirs', must be a metric of this project"),
        ("primary_metric", 7, r"primary_metric == 7, must be a metric"),
        ("primary_metric", [], r"primary_metric == \[\], must be a metric"),
        ("guardrails", [{"metric": "theirs", "margin": 0.1}], r"guardrails\[0\]\.metric == 'theirs'"),
        ("guardrails", [{"metric": "orders", "margin": -0.1}], r"margin == -0\.1, must be a number in"),
        ("guardrails", [{"metric": "orders", "margin": float("nan")}], r"margin == nan, must be"),
        ("guardrails", [{"metric": "orders"}], r"guardrails\[0\] == .*, must have margin and metric"),
        ("guardrails", [{"metric": "orders", "margin": 0.1}] * 2, r"must be different metrics"),
        (
            "guardrails",
            [{"metric": "clicks", "margin": 0.1}],
            r"must be another metric than the primary",
        ),
        ("guardrails", "orders", r"guardrails == 'orders', must be a list of at most 20"),
        ("ramp", [], r"ramp == \[\], must be 1 to 20 steps"),
        (
            "ramp",
            [step(0.05), step(0.01)],
            r"ramp\[1\]\.share == 0\.01, must be above 0\.05: steps rise",
        ),
        ("ramp", [step(0.05), step(0.05)], r"ramp\[1\]\.share == 0\.05, must be above 0\.05"),
        ("ramp", [step(0.0)], r"ramp\[0\]\.share == 0, must be above 0"),
        ("ramp", [step(0.6)], r"ramp\[0\]\.share == 0\.6, must be a number in \[0, 0\.5\]"),
        (
            "ramp",
            [step(n / 100) for n in range(1, 22)],
            r"ramp == 21 of them, must be a list of at most",
        ),
        ("ramp", [step(0.1, -1)], r"minimum_seconds == -1, must be a number in"),
        ("ramp", [{"share": 0.1, "minimum_seconds": 0, "users": 3}], r"must have minimum_seconds and"),
        ("ramp", [{"share": 0.1, "minimum_seconds": 0, "units": -1}], r"units == -1, must be a number"),
        ("ship_when", "always", r"ship_when == 'always', must be one of \['', 'significant'"),
        ("holdback_share", 0.25, r"holdback_share == 0\.25, must be a number in \[0, 0\.25\)"),
        ("holdback_share", True, r"holdback_share == True, must be a number"),
        ("holdback_days", -1, r"holdback_days == -1, must be a number in \[0, 365\]"),
        ("cooldown_days", 1e9, r"cooldown_days == 1000000000\.0, must be a number in"),
        ("approval", "nobody", r"approval == 'nobody', must be one of \['automatic', 'propose'"),
        ("breaker_alpha", 0.06, r"breaker_alpha == 0\.06, must be a number in \[0, 0\.05\]"),
        ("refresh", "", r"refresh == '', must be one of \['non_inferior'"),
        ("refresh", ["always"], r"refresh == \['always'\], must be one of"),
        ("paused", "yes", r"paused == 'yes', must be true or false"),
        ("colour", "red", r"setting 'colour' is unknown, must be one of"),
    ],
)
def test_a_setting_that_breaks_its_rule_changes_nothing(shop, setting, value, message):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    Metric.objects.create(project=builders.make_project(), key="theirs", kind="mean", event="click")
    change_programme(surface=shop.surface, changes={"primary_metric": "clicks"}, by="ann")
    before = settings_of(programme_of(shop.surface))
    changes = {"cooldown_days": 3.0, setting: value}
    with pytest.raises(CannotChangeProgrammeError, match=message) as refused:
        change_programme(surface=shop.surface, changes=changes, by="ann")
    assert refused.value.field == setting
    assert settings_of(programme_of(shop.surface)) == before
    assert len(entries(shop)) == 1


def test_two_changes_at_once_are_both_kept(shop):
    both = threading.Barrier(2)

    def change(setting: str, value: object) -> None:
        try:
            both.wait(60)
            change_programme(surface=shop.surface, changes={setting: value}, by="ann")
        finally:
            connection.close()

    threads = [
        threading.Thread(target=change, args=pair)
        for pair in (("cooldown_days", 2.0), ("primary_metric", "clicks"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    programme = Programme.objects.get(surface=shop.surface)
    assert (programme.cooldown_days, programme.primary_metric) == (2.0, shop.metric)
    assert len(entries(shop)) == 2


def test_metrics_without_recent_events_are_named(shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    Metric.objects.create(project=shop.project, key="thumbs", kind="mean", event="feedback.thumb")
    assert programme_warnings(programme_of(shop.surface)) == [
        "No primary metric: no automatic experiment starts."
    ]
    guardrails = [{"metric": key, "margin": 0.1} for key in ("orders", "thumbs")]
    changes = {"primary_metric": "clicks", "guardrails": guardrails}
    programme = change_programme(surface=shop.surface, changes=changes, by="ann")
    builders.write(Rows(events=[builders.event(shop.project)]))
    assert programme_warnings(programme) == [
        f"Guardrail '{key}' has no events in the last 28 days: it cannot warn of anything."
        for key in ("orders", "thumbs")
    ]
    builders.write(Rows(events=[builders.event(shop.project, name="order")]))
    assert len(programme_warnings(programme)) == 1
