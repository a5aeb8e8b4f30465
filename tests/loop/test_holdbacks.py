"""After a promotion by a test a holdback measures whether the gain lasts; it moves nothing by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.translation import override

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert
from experiments.actions.carry_out import Verdict, carry_out
from experiments.actions.change_programme import change_programme
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.promote_version import promote_version
from experiments.actions.record_decision import hash_of
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Decision, Experiment, ExperimentMetric, Metric, Proposal
from experiments.reports.holdback_gain import gain_of
from experiments.reports.stored_text import show_stored
from experiments.tasks import close_holdbacks
from inference.models import ModelVersion
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.fast_lane import test_database_url

# The process dies when the holdback is open and before anything is committed.
DIE = """
import os, django
django.setup()
from experiments.actions import carry_out as module
from experiments.models import Experiment
module.record_decision = lambda *_: os.kill(os.getpid(), 9)
verdict = module.Verdict(action="ship", reason="a test", variant="treatment")
module.carry_out(experiment=Experiment.objects.get(pk={}), verdict=verdict, by="a test")
"""


@pytest.fixture
def shop(shop):
    change_programme(surface=shop.surface, changes={"holdback_share": 0.2}, by="a test")
    return shop


def ship(shop, algorithm="popularity", **policy):
    """Ship a challenger of an algorithm by a test; return it and the test."""
    champion = shop.surface.versions.champions().get()
    challenger = builders.make_version(shop.surface, list(range(1, 11)), algorithm=algorithm)
    shop.champion = champion
    test = builders.start_experiment(
        experiment=shop.define(challenger, **(QUICK_POLICY | policy)), by="a test"
    )
    carry_out(experiment=test, verdict=Verdict("ship", "a test", variant="treatment"), by="a test")
    return challenger, test


def holdbacks(shop, **which):
    return Experiment.objects.filter(surface=shop.surface, purpose="holdback", **which)


def look_over(shop, clicks, **fields):
    """Ship, and analyse visits of the holdback."""
    ship(shop)
    holdback = holdbacks(shop).get()
    visits(holdback, clicks)
    look_at_experiment(experiment_id=holdback.pk)
    holdback.refresh_from_db()
    return holdback


def served(lane, shop, unit):
    body = {"surface": "home-feed", "unit_id": unit}
    answer = lane.post("/v1/recommend", body, shop.public).json()
    return answer["experiment"], answer["variant"], answer["model"]


def test_a_shipped_test_opens_a_holdback_that_is_served(lane, shop):
    clicks = Metric.objects.create(project=shop.project, key="others", kind="mean", event="other")
    test = shop.run_experiment(**QUICK_POLICY)
    test.metrics.create(metric=clicks, role=ExperimentMetric.Role.GUARDRAIL, margin=0.1, spec={})
    answer = lane.post(f"/v1/experiments/{test.key}/ship", {"variant": "treatment"}, shop.secret)
    assert answer.status_code == 200, answer.text
    key = "home-feed-holdback-popularity-2"
    assert answer.json()["evidence"]["holdback"] == key
    shown = lane.client.get(
        f"/v1/experiments/{key}", headers={"Authorization": f"Bearer {shop.secret}"}
    ).json()
    assert shown["purpose"] == "holdback"
    assert (shown["layer"], shown["slot"]) == ("autopilot-home-feed", [0.6, 1.0])
    assert shown["policy"]["rule"] == "always_valid"
    holdback = holdbacks(shop).get()
    roles = {metric.metric.key: (metric.role, metric.margin) for metric in holdback.metrics.all()}
    assert roles == {"clicks": ("primary", 0.05), "others": ("guardrail", 0.1)}
    lane.refresh()
    seen = defaultdict(set)
    for n in range(40):
        experiment, variant, model = served(lane, shop, f"u{n}")
        seen[experiment, variant].add(model)
    assert seen == {
        (key, "former"): {"popularity@1"},
        (key, "promoted"): {"popularity@2"},
        (None, None): {"popularity@2"},
    }
    # Tests of a person take the rest.
    test = shop.run_experiment()
    assert (test.layer.key, test.slot_low, test.slot_high) == ("autopilot-home-feed", 0.0, 0.6)


def test_a_gain_that_lasts_is_confirmed_when_its_days_are_over(lane, shop):
    holdback = look_over(shop, {"former": 1, "promoted": 3})
    assert holdback.looks.get().action == "keep_running"
    report = lane.client.get(
        f"/v1/experiments/{holdback.key}/report.json",
        headers={"Authorization": f"Bearer {shop.secret}"},
    ).json()
    assert report["purpose"] == "holdback"
    assert report["verdict"]["action"] == "keep_running"
    assert report["verdict"]["sentence"].startswith("Still +133% (+")
    assert report["verdict"]["sentence"].endswith(" seconds.")
    close_holdbacks()
    assert holdbacks(shop, state="running").exists()
    holdbacks(shop).update(ends_at=timezone.now() - timedelta(seconds=1))
    close_holdbacks()
    close_holdbacks()  # once
    decision = holdback.decisions.get()
    assert decision.action == "confirm"
    assert decision.reason.startswith("still +133% (+")
    assert decision.sha256 == hash_of(decision)
    assert shop.surface.versions.champions().get().number == 2
    assert not Alert.objects.filter(project=shop.project, event="holdback_lost").exists()


def test_thin_traffic_says_what_is_missing_and_how_long_it_takes(shop):
    ship(shop)
    holdback = holdbacks(shop).get()
    started = timezone.now() - timedelta(hours=12)
    holdbacks(shop).update(started_at=started)
    assert gain_of(holdback).stored == "nothing is measured yet"  # no look was taken
    visits(holdback, {"former": 1, "promoted": 1}, units=4)
    look_at_experiment(experiment_id=holdback.pk)
    holdback.refresh_from_db()
    stored = gain_of(holdback).stored
    assert stored.startswith("too few users with a value after 12 hours: 4 of 10 needed per version")
    # The other 6 at the pace of the first 4, since their window is seconds.
    assert stored.endswith("; about 18 hours more at this pace")
    assert gain_of(holdback).sentence == (
        "Too few users with a value after 12 hours: 4 of the 10 needed per version; "
        "About 18 hours more at this pace."
    )
    holdbacks(shop).update(started_at=timezone.now() + timedelta(hours=1))  # the clock was set back
    holdback.refresh_from_db()
    assert gain_of(holdback).stored.endswith("4 of 10 needed per version")


def test_before_the_first_outcome_it_says_when_that_is_complete(shop):
    ship(shop, window_seconds=7 * 86_400.0)
    holdback = holdbacks(shop).get()
    visits(holdback, {"former": 0, "promoted": 0}, units=4)
    look_at_experiment(experiment_id=holdback.pk)
    assert gain_of(holdback).stored == (
        "no outcomes yet: those of the first users are complete after 7 days"
    )


def test_a_lost_gain_alerts_once_and_moves_nothing(shop):
    holdback = look_over(shop, {"former": 3, "promoted": 1})
    visits(holdback, {"former": 3, "promoted": 1}, unit_id="{variant}-later-{n}")
    look_at_experiment(experiment_id=holdback.pk)
    assert holdback.looks.count() == 2
    alert = Alert.objects.get(project=shop.project, event="holdback_lost")
    assert "the gain is gone: −" in alert.summary
    with override("zh-hans"):  # with the full stop of a stored sentence, too
        assert " 秒后比前一版本变化" in show_stored(
            "the gain is gone: −5% (−9% to −1%) after 3 seconds."
        )
    assert Proposal.objects.get(project=shop.project).kind == "restore"
    assert holdbacks(shop, state="running").exists()
    assert shop.surface.versions.champions().get().number == 2
    holdbacks(shop).update(ends_at=timezone.now())
    close_holdbacks()
    assert holdback.decisions.get().action == "lost"
    assert shop.surface.versions.champions().get().number == 2
    # A loss stands after the days too, until another recipe serves.
    assert Proposal.objects.get(experiment=holdback).outcome == ""
    other = builders.make_version(shop.surface, [3] * 10, algorithm="als")
    promote_version(version=other, by="a person", reason="a test")
    assert Proposal.objects.get(project=shop.project).state == "withdrawn"


def test_an_unhealthy_holdback_says_nothing(shop):
    ship(shop)
    holdback = holdbacks(shop).get()
    uneven = {"former": range(300), "promoted": range(60)}
    visits(holdback, {"former": 3, "promoted": 1}, units=uneven)
    assert look_at_experiment(experiment_id=holdback.pk).action == "halt"
    assert gain_of(holdback).stored == "the experiment is not healthy"
    assert not Alert.objects.filter(project=shop.project, event="holdback_lost").exists()
    assert holdbacks(shop, state="running").exists()  # it moves nothing, its own end included


def test_an_approved_proposal_restores_the_former_champion(shop):
    holdback = look_over(shop, {"former": 3, "promoted": 1})
    approve_proposal(proposal=Proposal.objects.get(project=shop.project), by="a person")
    assert shop.surface.versions.champions().get() == shop.champion
    decision = holdback.decisions.get()
    assert decision.action == "lost"
    assert decision.reason.endswith(f"; {shop.champion.label} is the champion again")
    promoted = shop.surface.decisions.get(action="promote")
    assert promoted.reason.startswith("the gain is gone: −")
    assert promoted.reason.endswith("(approved by a person)")


def test_a_declined_proposal_is_not_made_again(shop):
    holdback = look_over(shop, {"former": 3, "promoted": 1})
    decline_proposal(proposal=Proposal.objects.get(project=shop.project), by="a person")
    visits(holdback, {"former": 3, "promoted": 1}, unit_id="{variant}-later-{n}")
    look_at_experiment(experiment_id=holdback.pk)
    assert Proposal.objects.get(project=shop.project).state == "declined"
    assert holdbacks(shop, state="running").exists()


def test_a_holdback_of_the_same_recipe_ends_and_one_of_another_runs_on(shop):
    change_programme(surface=shop.surface, changes={"holdback_share": 0.1}, by="a test")
    ship(shop)
    ship(shop, algorithm="ease")
    slots = dict(holdbacks(shop, state="running").values_list("key", "slot_low"))
    assert slots == {"home-feed-holdback-popularity-2": 0.8, "home-feed-holdback-ease-1": 0.6}
    third, _ = ship(shop)
    old = holdbacks(shop).get(key="home-feed-holdback-popularity-2")
    assert (old.state, old.decisions.get().action) == ("ended", "stop_inconclusive")
    assert old.decisions.get().reason == f"nothing is measured yet; {third.label} took its place"
    slots = dict(holdbacks(shop, state="running").values_list("key", "slot_low"))
    assert slots == {"home-feed-holdback-popularity-3": 0.8, "home-feed-holdback-ease-1": 0.6}


def test_promotions_by_hand_end_only_what_has_lost_its_sense(shop):
    first = shop.champion
    ship(shop)
    other = builders.make_version(shop.surface, [3] * 10, algorithm="als")
    promote_version(version=other, by="a person", reason="a test")
    close_holdbacks()
    assert holdbacks(shop, state="running").exists()
    promote_version(version=first, by="a person", reason="back")
    decision = holdbacks(shop, state="ended").get().decisions.get()
    assert decision.reason == f"nothing is measured yet; {first.label} is the champion again"


def test_a_rejected_version_leaves_the_traffic(shop):
    promoted, _ = ship(shop)
    ModelVersion.objects.filter(pk=promoted.pk).update(alias="rejected")
    close_holdbacks()
    reason = holdbacks(shop, state="ended").get().decisions.get().reason
    assert reason == f"nothing is measured yet; {promoted.label} was rejected"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"holdback_share": 0.0}, "holdback_share or holdback_days is 0"),
        ({"holdback_days": 0.0}, "holdback_share or holdback_days is 0"),
        ({}, "no slot of the layer is free"),
    ],
)
def test_why_there_is_no_holdback_stands_in_the_decision(shop, changes, why):
    if not changes:
        ship(shop, algorithm="ease")  # takes 40 % of the users; another 40 % are not there
    change_programme(surface=shop.surface, changes=changes, by="a test")
    _, test = ship(shop)
    assert why in test.decisions.get(action="ship").evidence["why_no_holdback"]


def test_a_worker_killed_in_between_leaves_neither_promotion_nor_holdback(shop):
    test = shop.run_experiment(**QUICK_POLICY)
    variables = {**os.environ, "DATABASE_URL": test_database_url()}
    done = subprocess.run([sys.executable, "-c", DIE.format(test.pk)], env=variables, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not holdbacks(shop).exists()
    assert shop.surface.versions.champions().get() == shop.champion
    assert Experiment.objects.get(pk=test.pk).state == "running"


def test_people_stop_a_holdback_and_neither_ship_nor_re_weight_it(lane, shop):
    ship(shop)
    key = holdbacks(shop).get().key
    refused = lane.post(f"/v1/experiments/{key}/ship", {"variant": "promoted"}, shop.secret)
    assert refused.status_code == 409
    assert "is a holdback, cannot be shipped" in refused.json()["error"]["message"]
    refused = lane.post(f"/v1/experiments/{key}/ramp", {"allocation": 0.5}, shop.secret)
    assert refused.status_code == 409
    assert (
        lane.post(f"/v1/experiments/{key}/stop", {"reason": "enough"}, shop.secret).status_code == 200
    )
    assert shop.surface.versions.champions().get().number == 2
    audit = AuditEntry.objects.filter(project=shop.project, subject=key)
    assert list(audit.values_list("action", flat=True)) == ["stop_inconclusive"]
    opened = AuditEntry.objects.get(project=shop.project, action="ship").detail
    assert opened["holdback"] == key


def test_the_users_of_a_holdback_are_in_no_other_analysis(lane, shop):
    ship(shop)
    holdback = holdbacks(shop).get()
    test = shop.run_experiment()
    lane.refresh()
    for n in range(30):
        served(lane, shop, f"u{n}")
    exposed = {
        one.pk: set(one.exposure_set.values_list("unit_id", flat=True)) for one in (holdback, test)
    }
    assert all(exposed.values())
    assert not set.intersection(*exposed.values())
    assert Decision.objects.filter(experiment=holdback).count() == 0
    stop_experiment(experiment=test, by="a test")
