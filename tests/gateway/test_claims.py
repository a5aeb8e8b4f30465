"""What a page's key may claim: exposures that the rule gives, and no id, unit or crawler of others."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.assignment import hashed_variant
from experiments.models import (
    Event,
    ExcludedUnit,
    Exposure,
    Feedback,
    Metric,
    Observation,
    QuarantinedExposure,
    Unit,
)
from experiments.reports.experiment_report import report_on
from tests.support import builders

_numbers = itertools.count()
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.fixture
def trial(lane, shop):
    """A running experiment, as the fast lane knows it."""
    trial = shop.run_experiment()
    lane.refresh()
    return trial


def live(lane, trial):
    return lane.gateway._config.current.flags[trial.project_id].running[trial.key]


def assigned_variant(lane, trial, unit) -> str:
    return hashed_variant(live(lane, trial).rule, unit)


def other(variant: str) -> str:
    return {"control": "treatment", "treatment": "control"}[variant]


def claim(lane, key, trial, unit, variant, at=None):
    body = {
        "userId": unit,
        "event": "Experiment Viewed",
        "timestamp": (at or datetime.now(UTC)).isoformat(),
        "properties": {"experiment_id": trial.key, "variation_id": variant},
    }
    return lane.post("/v1/track", body, key)


def reshare(trial, **change):
    change_shares(experiment=trial, change=Change(accept_moves=True, **change), by="a test")


def counted(trial) -> dict:
    return dict(Exposure.objects.filter(experiment=trial).values_list("unit_id", "variant__key"))


def set_aside(trial) -> dict:
    return dict(QuarantinedExposure.objects.filter(experiment=trial).values_list("unit_id", "reason"))


def test_a_claim_counts_when_it_is_what_the_rule_gives(lane, shop, trial):
    units = [f"u{n}" for n in range(20)]
    for unit in units:
        assert (
            claim(lane, shop.public, trial, unit, assigned_variant(lane, trial, unit)).json()[
                "accepted"
            ]
            == 1
        )
    assert counted(trial) == {unit: assigned_variant(lane, trial, unit) for unit in units}
    assert set(Exposure.objects.filter(experiment=trial).values_list("source", flat=True)) == {"public"}


def test_forged_claims_are_set_aside_counted_and_shown(lane, shop, trial):
    units = [f"u{n}" for n in range(40)]
    for _ in range(2):  # a repetition is the same claim
        for unit in units:
            answer = claim(lane, shop.public, trial, unit, "treatment")
            assert answer.status_code == 200
    fit = {unit for unit in units if assigned_variant(lane, trial, unit) == "treatment"}
    assert set(counted(trial)) == fit
    assert set_aside(trial) == dict.fromkeys(set(units) - fit, "other_variant")
    look_at_experiment(experiment_id=trial.pk)
    report = report_on(trial)
    assert report.as_json()["units"]["quarantined"] == {"other_variant": 40 - len(fit)}
    assert "claimed by public keys are excluded" in report.warnings[0]


def test_the_answer_says_how_many_were_set_aside(lane, shop, trial):
    variant = assigned_variant(lane, trial, "u1")
    assert "quarantined" not in claim(lane, shop.public, trial, "u1", variant).json()
    assert claim(lane, shop.public, trial, "u1", other(variant)).json()["quarantined"] == 1


def test_a_secret_key_is_believed(lane, shop, trial):
    variant = other(assigned_variant(lane, trial, "u1"))
    claim(lane, shop.secret, trial, "u1", variant)
    assert (counted(trial), set_aside(trial)) == ({"u1": variant}, {})
    assert Exposure.objects.get(experiment=trial).source == "secret"


def test_what_was_spooled_before_a_change_of_shares_is_right_by_the_rule_of_its_time(lane, shop, trial):
    """Epochs are moved into the past, so that the change lies an hour back."""
    start, change = datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC) - timedelta(hours=1)
    reshare(trial, weights={"control": 0.1, "treatment": 0.9})
    trial.epochs.filter(number=1).update(started_at=start, ended_at=change)
    trial.epochs.filter(number=2).update(started_at=change)
    lane.refresh()
    first, second = (epoch.rule for epoch in live(lane, trial).epochs)
    moved = [
        unit
        for unit in (f"u{n}" for n in range(60))
        if hashed_variant(first, unit) == "control" and hashed_variant(second, unit) == "treatment"
    ]
    spooled, forged, late, stale, early = moved[:5]
    before, after = change - timedelta(minutes=5), change + timedelta(minutes=5)
    claim(lane, shop.public, trial, spooled, "control", before)
    claim(lane, shop.public, trial, forged, "treatment", before)
    claim(lane, shop.public, trial, late, "treatment", after)
    claim(lane, shop.public, trial, stale, "control", after)
    claim(lane, shop.public, trial, early, "control", start - timedelta(minutes=5))
    assert counted(trial) == {spooled: "control", late: "treatment"}
    assert dict(Exposure.objects.filter(experiment=trial).values_list("unit_id", "epoch")) == {
        spooled: 1, late: 2,
    }  # fmt: skip
    assert set_aside(trial) == {
        forged: "other_variant", stale: "earlier_rule", early: "before_start",
    }  # fmt: skip


def test_units_beyond_the_allocation_and_forced_ones_do_not_count(lane, shop, trial):
    reshare(trial, allocation=0.2)
    trial.refresh_from_db()
    trial.forced_units = {"qa": "treatment"}
    trial.save(update_fields=["forced_units"])
    lane.refresh()
    rule = live(lane, trial).rule
    outside = next(u for u in (f"u{n}" for n in range(50)) if hashed_variant(rule, u) is None)
    claim(lane, shop.public, trial, outside, "treatment")
    claim(lane, shop.public, trial, "qa", "treatment")
    assert counted(trial) == {}
    assert set_aside(trial)["qa"] == "forced"
    assert set_aside(trial)[outside] in {"outside", "earlier_rule"}


def event(unit="u1", **fields):
    return {"event_id": "order-77", "name": "click", "unit_id": unit, **fields}


def test_a_claimed_id_does_not_make_a_servers_event_a_duplicate(lane, shop):
    lane.post("/v1/events", event("mallory", value=0), shop.public)
    answer = lane.post("/v1/events", event("ann", value=99), shop.secret)
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 0)
    assert Event.objects.get(project=shop.project, unit_id="ann").trusted
    for key in (shop.secret, shop.public):
        assert lane.post("/v1/events", event("ann", value=99), key).json()["duplicates"] == 1
    assert Event.objects.filter(project=shop.project).count() == 2


def test_ids_from_before_the_upgrade_stay_taken(lane, shop):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO experiments_eventid (project_id, event_id, received_at) VALUES (%s, %s, now())",
            [shop.project.pk, "order-77"],
        )
    for key in (shop.public, shop.secret):
        assert lane.post("/v1/events", event(), key).json()["duplicates"] == 1


def test_a_metric_may_demand_what_a_secret_key_sent(lane, shop):
    Metric.objects.filter(pk=shop.metric.pk).update(trusted_only=True)
    trial = shop.run_experiment()
    lane.refresh()
    claim(lane, shop.public, trial, "u1", assigned_variant(lane, trial, "u1"))
    for n in range(3):
        lane.post("/v1/events", event(event_id=f"p{n}"), shop.public)
    lane.post("/v1/events", event(event_id="s"), shop.secret)
    look_at_experiment(experiment_id=trial.pk)
    assert Observation.objects.get(experiment=trial, unit_id="u1").value == 1


def test_a_pages_key_leaves_out_nobody_who_was_met(lane, shop):
    for n in range(5):
        lane.post("/v1/events", event(f"u{n}", event_id=f"e{n}"), shop.public)
    headers = {"Authorization": f"Bearer {shop.public}"}
    victims = [event(f"u{n}", event_id=f"b{n}", user_agent=BOT) for n in range(5)]
    lane.client.post("/v1/events", json={"events": victims}, headers=headers)
    lane.client.post("/v1/events", json={"events": victims}, headers=headers | {"User-Agent": BOT})
    ask = {"surface": "home-feed", "unit_id": "u0", "context": {"user_agent": BOT}}
    lane.client.post("/v1/recommend", json=ask, headers=headers)
    assert not ExcludedUnit.objects.filter(project=shop.project).exists()
    lane.post("/v1/events", event("u0", event_id="c", user_agent=BOT), shop.secret)
    assert ExcludedUnit.objects.get(project=shop.project).unit_id == "u0"


def alias(lane, key, previous, user):
    return lane.post("/v1/alias", {"previousId": previous, "userId": user}, key)


def seen_as(shop, lane, unit):
    """The unit under which an id's events are kept now."""
    name = f"seen-{next(_numbers)}"
    lane.post("/v1/events", {"name": name, "unit_id": unit}, shop.public)
    return Event.objects.get(project=shop.project, name=name).unit_id


def test_a_pages_key_does_not_put_two_people_together(lane, shop):
    for anonymous, user in (("a1", "ann"), ("b1", "ben")):
        lane.post("/v1/identify", {"anonymousId": anonymous, "userId": user}, shop.public)
    Unit.objects.create(project=shop.project, unit_id="cleo", attributes={"plan": "gold"})
    for previous, user in (
        ("ann", "ben"), ("ann", "new"), ("cleo", "new"), ("a1", "ben"), ("a1", "new"), ("x", "b1"),
    ):  # fmt: skip
        assert alias(lane, shop.public, previous, user).status_code == 200
    assert [seen_as(shop, lane, unit) for unit in ("ann", "ben", "cleo", "new", "a1", "b1")] == [
        "ann", "ben", "cleo", "new", "ann", "ben",
    ]  # fmt: skip


def test_a_pages_key_says_who_logged_in_and_a_secret_key_anything(lane, shop):
    lane.post("/v1/events", {"name": "view", "anonymous_id": "a1"}, shop.public)
    alias(lane, shop.public, "a1", "ann")
    assert seen_as(shop, lane, "ann") == "a1"
    lane.post("/v1/identify", {"anonymousId": "b1", "userId": "ben"}, shop.public)
    alias(lane, shop.secret, "ben", "benjamin")
    assert seen_as(shop, lane, "benjamin") == "ben"


def test_a_claimed_id_of_feedback_gives_way_to_a_servers(lane, shop):
    slate = builders.make_slate(shop, "u1")
    about = {"feedback_id": "f1", "recommendation_id": slate, "unit_id": "u1", "kind": "rating"}
    lane.post("/v1/feedback", about | {"value": 1}, shop.public)
    for accepted in (1, 0):
        answer = lane.post("/v1/feedback", about | {"value": 5}, shop.secret)
        assert answer.json()["accepted"] == accepted
    assert lane.post("/v1/feedback", about | {"value": 2}, shop.public).json()["duplicates"] == 1
    stored = Feedback.objects.get(project=shop.project)
    assert (stored.value, stored.trusted) == (5, True)
