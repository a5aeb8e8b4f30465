"""A plan from numbers of a week: proportions near 1, quantiles without a spread, and nobody."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from experiments.scorecards.interleaving_plan import lift_of_lists
from experiments.scorecards.plan_words import describe_open
from experiments.scorecards.traffic_plan import (
    CeilingError,
    Design,
    NoTrafficError,
    WeekOfTraffic,
    plan_for_week,
    says_enough,
)
from experiments.stats.totals import StatisticsError


def metric(kind, direction="increase"):
    return SimpleNamespace(key="did", kind=kind, direction=direction, quantile=0.9)


def week(**fields):
    usual = {"visitors": 7000, "users": 1000, "active": 960, "baseline": 0.96, "deviation": 0.2}
    return WeekOfTraffic(**(usual | fields))


def test_what_most_users_do_can_rise_by_little():
    with pytest.raises(
        CeilingError, match=r"below 0.0417: 96% of users already do this; it can rise by at most 4.2%"
    ) as refused:
        plan_for_week(week(), metric("proportion"), Design(min_lift=0.05))
    assert (refused.value.share, refused.value.room) == (0.96, pytest.approx(0.0417, abs=1e-4))
    assert plan_for_week(week(), metric("proportion"), Design(min_lift=0.03)).plan.units > 0


def test_what_should_fall_is_planned_as_a_fall_where_it_cannot_rise():
    result = plan_for_week(week(), metric("proportion", "decrease"), Design(min_lift=0.05))
    assert result.plan.mde_absolute == pytest.approx(-0.05 * 0.96)
    assert (result.plan.mde_relative, result.plan.units_interleaved) == (0.05, None)
    with pytest.raises(CeilingError):
        plan_for_week(week(), metric("proportion", "decrease"), Design(min_lift=1.0))


def test_a_past_value_that_goes_with_the_value_saves_users():
    plain, adjusted = (
        plan_for_week(week(correlation=by), metric("mean"), Design(min_lift=0.05)).plan.units
        for by in (0.0, 0.6)
    )
    assert adjusted == pytest.approx(plain * (1 - 0.36), rel=0.01)


def test_interleaved_lists_save_nothing_by_a_past_value():
    shop_metric = metric("mean")
    weeks = [week(correlation=by) for by in (0.0, 0.6)]
    plain, adjusted = (
        plan_for_week(one, shop_metric, Design(min_lift=0.05)).plan.units_interleaved for one in weeks
    )
    assert adjusted == plain
    assert lift_of_lists(weeks[0], shop_metric, 5000) == lift_of_lists(weeks[1], shop_metric, 5000)


def test_a_plan_says_that_its_outcomes_are_not_complete():
    plans = [
        plan_for_week(week(is_complete=done), metric("mean"), Design(min_lift=0.05))
        for done in (True, False)
    ]
    assert describe_open(plans[0]) == []
    (sentence,) = describe_open(plans[1])
    assert "Outcomes of last week's users are not complete yet" in sentence


@pytest.mark.parametrize(
    ("delay", "users", "active", "visitors", "enough"),
    [
        (0, 100, 0, 5000, True), (0, 40, 20, 40, True), (0, 40, 20, 5000, False),
        (604_800, 40, 20, 5000, True), (604_800, 2, 1, 5000, True), (604_800, 40, 0, 5000, False),
        (604_800, 0, 0, 5000, False),
    ],
)  # fmt: skip
def test_of_a_delayed_metric_few_complete_users_say_more_than_many_open_ones(
    delay, users, active, visitors, enough
):
    spec = SimpleNamespace(delay_seconds=delay)
    assert says_enough(spec, users=users, active=active, visitors=visitors) is enough


def test_a_quantile_that_all_users_share_has_no_plan():
    with pytest.raises(StatisticsError, match="must differ between users: around its quantile all"):
        plan_for_week(week(density=0.0), metric("quantile"), Design(min_lift=0.05))
    sparse, dense = (
        plan_for_week(week(density=at), metric("quantile"), Design(min_lift=0.05)).plan.units
        for at in (0.1, 0.2)
    )
    assert sparse == pytest.approx(4 * dense, rel=0.01)


@pytest.mark.parametrize("nobody", [{"visitors": 1}, {"users": 1}, {"active": 0}])
def test_nobody_is_no_plan(nobody):
    with pytest.raises(NoTrafficError):
        plan_for_week(week(**nobody), metric("mean"), Design(min_lift=0.05))
    assert week(users=0).active_share == 0
