"""Refits of the champion's recipe: without a test where the programme allows it, and never downwards."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.template.loader import render_to_string
from django.utils.translation import override

from experiments.actions.change_queue import hold_challenger
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Decision, Experiment, Proposal
from experiments.programme.refits import refit_reason, refit_view
from experiments.reports.stored_text import show_stored
from experiments.tasks import advance_surface, retrain_due_surfaces
from inference.evaluation.gate import GateRule, Rival, judge
from inference.evaluation.scores import Scores
from inference.models import ModelVersion
from inference.runs.outcome import Recipe, RefitRival, RunPlan, Workplace
from inference.runs.refits import NO_COST, add_refit, compare_with_tested
from inference.training_process.inputs import plan_of
from tests.support import builders, learning
from tests.support.broker import lose_messages, messages
from tests.support.refits import data_of, make_refit, make_refreshed_shop

TASTE = [1] * 10


@pytest.fixture
def shop(tables):
    return make_refreshed_shop()


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
        days=-50 if why == "older" else 0,
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


def test_after_an_erasure_no_newer_data_are_needed(shop):
    make_refit(shop, days=-50)  # the erased unit had the last rows
    shop.champion.snapshot.destroyed_at = builders.now()
    shop.champion.snapshot.save()
    turn(shop)
    assert champion(shop) == shop.champion  # trained before the erasure: with the unit's rows, perhaps
    refit = make_refit(shop, days=-49)
    turn(shop)
    assert champion(shop) == refit


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
    decision = Decision.objects.filter(project=shop.project).first()
    assert "approved by ann, bob" in decision.reason


def test_a_refit_that_was_declined_is_not_proposed_again(shop):
    builders.set_programme(shop, approval="two_persons")
    make_refit(shop)
    turn(shop)
    decline_proposal(proposal=Proposal.objects.open_now().get(surface=shop.surface), by="ann")
    turn(shop)
    assert not Proposal.objects.open_now().filter(surface=shop.surface).exists()
    assert champion(shop) == shop.champion


def test_a_month_of_refits_does_not_drift_below_the_last_tested_version(shop):
    """Ten nights; each refit is a little worse than the one before, on average by 1.2 %."""
    builders.set_programme(shop, primary_metric=None)  # those that do not pass are not tested
    rng = np.random.default_rng(3)
    rule, units = GateRule(), 500
    rival = RefitRival("popularity@1", "0" * 64, "popularity", 0.0)
    tested = Scores({name: rng.beta(2, 8, units) for name in ("ndcg", "recall", "hit_rate")})
    yesterday, yesterdays_value, last_passed = tested, 1.0, shop.champion
    for night in range(10):
        worse = 1 - 0.012 * (night + 1)
        noise = rng.normal(0, 0.002, units)
        ours = Scores({name: values * worse + noise for name, values in tested.per_unit.items()})
        plan = RunPlan(Recipe("popularity", {}), None, rule, Workplace(Path()))
        recipes = judge(Rival("popularity", ours), [ours], NO_COST, rule, random_seed=night)
        compared = compare_with_tested(plan, rival, tested, [ours])
        view = add_refit(recipes, recipes, compared, rival, NO_COST).about["refit"]
        refit = make_refit(shop, days=night - 10, **view)
        turn(shop)
        last_passed = refit if view["non_inferior"] else last_passed
        assert champion(shop) == last_passed  # never older than the last refit that passed
        if judge(Rival("", yesterday), [ours], NO_COST, rule, random_seed=night).passed:
            yesterday, yesterdays_value = ours, ours.mean("ndcg") / tested.mean("ndcg")
    row = refit_view(last_passed)["rows"]["ndcg"]
    assert row["challenger"] >= (1 - rule.margin) * row["champion"]
    assert 1 < last_passed.number < 6
    # Compared with yesterday's, all ten pass, and the value has sunk by more than twice the margin.
    assert yesterdays_value < 1 - 2 * rule.margin


def test_a_run_of_the_champions_recipe_is_planned_with_the_last_tested_version(tables):
    surface = learning.make_rated_surface()
    tested = builders.make_version(
        surface, [1] * len(learning.ITEMS), alias="champion", params={"half_life_days": 30}
    )
    tested.snapshot = data_of(SimpleNamespace(surface=surface), days=-40)
    tested.save()
    same, other = ({"half_life_days": 30}, {"half_life_days": 9})
    run = retrain_surface(surface=surface, algorithm="popularity", trigger="a test", params=same)
    rival = plan_of(run).tested
    assert rival is not None
    assert (rival.label, rival.learnt_until) == ("popularity@1", tested.learnt_until.timestamp())
    run.params = other
    assert plan_of(run).tested is None


def test_the_page_of_a_run_shows_the_comparison(shop):
    refit = make_refit(shop)
    with override("zh-hans"):
        page = render_to_string(
            "dashboard/refit.html",
            {"refit": refit_view(refit), "page": SimpleNamespace(run=SimpleNamespace(version=refit))},
        )
        assert "不逊于最近一次通过实验的版本" in page
        assert "popularity@1" in page
        assert "不逊于它：ndcg -0.1%" in show_stored(refit_reason(refit))
