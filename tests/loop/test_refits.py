"""Refits of the champion's recipe: without a test where the programme allows it, and never downwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.actions.change_queue import hold_challenger
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Decision, Experiment, Proposal
from experiments.tasks import advance_surface, retrain_due_surfaces
from inference.models import ModelVersion, Snapshot
from tests.support import builders
from tests.support.broker import lose_messages, messages

TASTE = [1] * 10
NOW = timezone.now()


@pytest.fixture
def shop(tables):
    """A shop whose champion learnt from data of 30 days ago, and was never beaten."""
    shop = builders.make_shop()
    shop.champion.snapshot = data(shop, days=-30)
    shop.champion.save()
    builders.set_programme(shop)
    return shop


def data(shop, days) -> Snapshot:
    return Snapshot.objects.create(
        surface=shop.surface,
        sha256=f"data of day {days}",
        rows=1,
        units=1,
        watermark=NOW + timedelta(days=days),
    )


def make_refit(shop, days=0, *, difference=-0.0001, alias="challenger", **view):
    """A refit whose nDCG differs so much from the last tested version's, give or take 0.004."""
    interval = [difference - 0.004, difference + 0.004]
    row = {"champion": 0.2, "challenger": 0.2 + difference, "difference": difference}
    version = builders.make_version(shop.surface, TASTE, alias=alias, snapshot=data(shop, days))
    version.gate["about"] = {
        "refit": {
            "tested_version": "popularity@1",
            "against": "tested_version",
            "bounds": [],
            "metric": "ndcg",
            "units": 500,
            "rows": {"ndcg": row | {"interval": interval}},
            "non_inferior": interval[0] > -0.01,
            "superior": interval[0] > 0,
            "reasons": [],
            **view,
        }
    }
    version.save()
    return version


def champion(shop) -> ModelVersion:
    return shop.surface.versions.champions().get()


def turn(shop) -> None:
    advance_surface(shop.surface.pk)


def test_a_refit_that_is_not_worse_is_champion_at_once(shop):
    refit = make_refit(shop)
    turn(shop)
    assert champion(shop) == refit
    decision = Decision.objects.get(surface=shop.surface)
    assert (decision.action, decision.promoted, decision.replaced) == ("promote", refit, shop.champion)
    assert decision.reason == ("refit of popularity@1, not worse than it: ndcg -0.1% (-2.1% to +1.9%)")
    assert decision.evidence["refit"]["tested_version"] == "popularity@1"
    assert not Experiment.objects.filter(surface=shop.surface).exists()


def test_a_refit_that_is_worse_is_tested_as_any_other(shop):
    refit = make_refit(shop, difference=-0.05)
    turn(shop)
    assert champion(shop) == shop.champion
    assert Experiment.objects.get(surface=shop.surface).treatments.get().model_version == refit


@pytest.mark.parametrize(
    ("refresh", "difference", "promoted"),
    [
        ("superior", 0.001, False),
        ("superior", 0.01, True),
        ("always", -0.05, True),
    ],
)
def test_the_programme_says_what_a_refit_must_show(shop, refresh, difference, promoted):
    builders.set_programme(shop, refresh=refresh)
    refit = make_refit(shop, difference=difference)
    turn(shop)
    assert (champion(shop) == refit) is promoted


def test_always_keeps_the_bounds_of_serving_and_takes_what_the_recipes_refuse(shop):
    builders.set_programme(shop, refresh="always")
    make_refit(
        shop, days=-2, alias="rejected", bounds=["latency p95 == 80.00 ms, must be at most 10 ms"]
    )
    noisy = make_refit(shop, days=-3, alias="rejected", difference=-0.05)
    turn(shop)
    assert champion(shop) == noisy
    assert "against the gate" in noisy.moves.last().reason


@pytest.mark.parametrize("why", ["params", "older", "held", "other test", "paused", "people"])
def test_what_is_no_refit_that_may_pass(shop, why):
    refit = make_refit(
        shop,
        days=-40 if why == "older" else 0,
        **({"tested_version": "ease@4"} if why == "other test" else {}),
    )
    if why == "params":
        refit.params = {"half_life_days": 3}
        refit.save()
    if why == "held":
        hold_challenger(version=refit, by="a test", reason="look at it first")
    if why == "paused":
        builders.set_programme(shop, paused=True)
    if why == "people":
        shop.surface.start_experiments = False
        shop.surface.save()
    turn(shop)
    assert champion(shop) == shop.champion


def test_it_waits_for_a_test_and_the_newest_that_passed_goes_on(shop):
    other = builders.make_version(shop.surface, TASTE, algorithm="ease")
    turn(shop)
    test = Experiment.objects.get(surface=shop.surface)
    assert test.treatments.get().model_version == other
    older, newest = make_refit(shop, days=-2), make_refit(shop, days=-1)
    make_refit(shop, days=0, difference=-0.05)
    turn(shop)
    assert champion(shop) == shop.champion
    stop_experiment(experiment=test, by="a test", reason="enough")
    turn(shop)
    assert champion(shop) == newest  # although the last one superseded it in the queue
    turn(shop)
    assert champion(shop) == newest
    older.refresh_from_db()
    assert older.alias == "candidate"


def test_rows_say_that_a_refit_is_due_when_its_worker_was_killed(shop):
    refit = make_refit(shop, alias="rejected")  # by the comparison of recipes alone
    lose_messages()
    retrain_due_surfaces()
    assert [shop.surface.pk] in messages("default")
    turn(shop)
    assert champion(shop) == refit
    lose_messages()
    retrain_due_surfaces()
    assert [shop.surface.pk] not in messages("default")


def test_two_people_approve_a_refit(shop):
    builders.set_programme(shop, approval="two_persons")
    make_refit(shop, days=-1)
    turn(shop)
    refit = make_refit(shop)
    turn(shop)
    proposal = Proposal.objects.open_now().get(surface=shop.surface)
    assert (proposal.kind, proposal.version, proposal.required_approvals) == ("ship", refit, 2)
    approve_proposal(proposal=proposal, by="ann")
    assert champion(shop) == shop.champion
    approve_proposal(proposal=proposal, by="bob")
    assert champion(shop) == refit
    assert "approved by ann, bob" in Decision.objects.first().reason


def test_a_refit_that_was_declined_is_not_proposed_again(shop):
    builders.set_programme(shop, approval="two_persons")
    make_refit(shop)
    turn(shop)
    decline_proposal(proposal=Proposal.objects.open_now().get(surface=shop.surface), by="ann")
    turn(shop)
    assert not Proposal.objects.open_now().filter(surface=shop.surface).exists()
    assert champion(shop) == shop.champion
