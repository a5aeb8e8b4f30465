"""The planner: page, API and command say the same of a surface's own traffic, and never thousands of days."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from experiments.actions.experiment_draft import ExperimentMetricDraft
from experiments.ingest.rows import Rows
from experiments.scorecards.change_plan import CHOICES, MAX_WEEKS, plan_change
from experiments.scorecards.plan import PlanQuestion, plan
from experiments.scorecards.traffic_plan import Design, NoTrafficError, read_week
from experiments.stats.totals import StatisticsError
from tests.support import builders
from tests.support.dashboard import plan_address, sign_in
from tests.support.fast_lane import test_database_url
from tests.support.form_reader import read_form

VISITORS, CLICKERS, DAYS = 400, 100, 4


@pytest.fixture(scope="module")
def busy(shared_lane):
    """A shop of four days of which every fourth visitor clicks once or twice, and others click elsewhere."""
    shop = builders.make_shop()
    rows, now = Rows(), builders.now()
    for n in range(VISITORS):
        # The windows of all are closed.
        at = now - timedelta(days=(DAYS - 1) * n / VISITORS + 1, minutes=5)
        rows.slates.append(builders.slate(shop, f"u{n}", served_at=at.isoformat()))
        for click in range(1 + n % 2 if n < CLICKERS else 0):
            rows.events.append(
                builders.event(shop.project, unit=f"u{n}", event_id=f"{n}-{click}", at=at.isoformat())
            )
    rows.events += [builders.event(shop.project, unit=f"elsewhere-{n}") for n in range(50)]
    builders.write(rows)
    shared_lane.refresh()
    return shop


def test_a_week_is_read_of_visitors_alone(busy):
    week = read_week(busy.surface, busy.metric)
    assert (week.visitors, week.users, week.active) == (VISITORS, VISITORS, CLICKERS)
    assert week.baseline == 1.5 * CLICKERS / VISITORS
    assert week.days == pytest.approx(DAYS, abs=0.1)


def test_a_plan_is_that_of_the_formulas_at_the_traffic_of_a_young_surface(busy):
    result = plan_change(busy.surface, busy.metric, Design(), lift=0.4)
    week = read_week(busy.surface, busy.metric)
    question = PlanQuestion(
        kind="mean", baseline=1.5 * CLICKERS / VISITORS, sd=week.deviation, mde=0.4,
        shares=[0.5, 0.5],
    )  # fmt: skip
    assert result.plan.units == plan(question).units
    assert result.weeks == -(-result.plan.units // (7 * VISITORS / week.days)) // 1
    # The surface was a moment younger when the plan read it.
    gain = 7 * VISITORS / week.days * 0.375 * 0.4
    assert result.gain_per_week == pytest.approx(gain, rel=1e-3)
    assert [one.weeks for one in result.choices] == list(CHOICES)
    lifts = [one.lift for one in result.choices]
    assert lifts == sorted(lifts, reverse=True)
    assert result.advice == ()


def test_what_takes_too_long_says_what_to_change(busy):
    design = Design(allocation=0.2, treatment_share=0.3)
    result = plan_change(busy.surface, busy.metric, design, lift=0.01)
    assert result.weeks is None
    assert result.plan.days > 7 * MAX_WEEKS
    assert list(result.advice) == ["larger_change", "more_traffic", "even_split", "commoner_event"]


def test_lists_are_interleaved_where_they_need_fewer_users(busy):
    result = plan_change(busy.surface, busy.metric, Design(), lift=0.4)
    week = read_week(busy.surface, busy.metric)
    assert result.interleaved.users == result.plan.units_interleaved < result.plan.units / 4
    assert result.interleaved.weeks == -(-result.interleaved.users // (7 * VISITORS / week.days)) // 1
    # A change that a test does not find in half a year, and interleaving does; too small for either.
    close = plan_change(busy.surface, busy.metric, Design(), lift=0.06)
    assert (close.weeks, close.advice[:2]) == (None, ["interleave", "larger_change"])
    assert plan_change(busy.surface, busy.metric, Design(), lift=0.01).interleaved is None
    page = sign_in(busy.project).get(plan_address(busy, change=6)).content.decode()
    assert "data-too-long" in page
    assert f"about {close.interleaved.users:,} users in {close.interleaved.weeks} weeks tell" in page


def test_what_no_item_is_credited_with_is_not_interleaved(busy):
    def offered(**changes):
        metric = busy.project.metrics.get(pk=busy.metric.pk)
        for name, value in changes.items():
            setattr(metric, name, value)
        return plan_change(busy.surface, metric, Design(), lift=0.4).interleaved

    assert offered() is not None
    assert offered(direction="decrease") is None
    assert offered(filters=[{"field": "value", "op": "ne", "value": 1}]) is None
    busy.surface.kind = "classify"
    assert offered() is None
    busy.surface.kind = "recommend"


def test_without_traffic_there_is_no_plan(shop):
    with pytest.raises(NoTrafficError, match="visitors of the last week == 0"):
        plan_change(shop.surface, shop.metric, Design(), lift=0.1)
    builders.make_slate(shop, "u1")
    builders.make_slate(shop, "u2")
    with pytest.raises(NoTrafficError, match=r"events of metric '.*' == 0, must be at least 1"):
        plan_change(shop.surface, shop.metric, Design(), lift=0.1)


@pytest.mark.parametrize("lift", [0.0, -0.1, float("inf"), float("nan")])
def test_a_change_must_be_above_zero(busy, lift):
    with pytest.raises(StatisticsError, match=r"min_lift == .*, must be above 0"):
        plan_change(busy.surface, busy.metric, Design(), lift=lift)


def test_the_page_shows_users_and_weeks_and_fills_in_a_new_experiment(busy):
    client = sign_in(busy.project, role="analyst")
    page = client.get(plan_address(busy)).content.decode()
    result = plan_change(busy.surface, busy.metric, Design(), lift=0.4)
    assert f'data-weeks="{result.weeks}"' in page
    assert f"{result.plan.units:,} users" in page
    assert f"Or interleave the lists of both versions: about {result.interleaved.users:,} users" in page
    link = re.search(r'href="([^"]*experiments/new/[^"]*)"', page)[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(link).query)["planned_units"] == [str(result.plan.units)]
    form = read_form(client.get(link).content.decode(), "definition")
    assert form["planned_units"] == [str(result.plan.units)]
    assert form["surface"] == [str(busy.surface.pk)]
    assert form["primary"] == [str(busy.metric.pk)]


def test_a_form_does_not_wait_for_traffic_that_cannot_be_read(busy, monkeypatch):
    monkeypatch.setattr("bakeoff.dashboard.plan_preview.MAX_SECONDS", 0.2)
    client, page = sign_in(busy.project, role="analyst"), f"/p/{busy.project.slug}/experiments/new/"
    filled_in = {"surface": busy.surface.pk, "primary": busy.metric.pk}
    assert "Visitors per day" in client.get(page, filled_in).content.decode()
    with psycopg.connect(test_database_url()) as slow:
        slow.execute("LOCK TABLE experiments_slate IN ACCESS EXCLUSIVE MODE")
        answer = client.get(page, filled_in)
        slow.rollback()
    assert answer.status_code == 200
    assert "traffic cannot be read within 0.2 seconds" in answer.content.decode()


def test_the_page_never_shows_days_without_end(busy):
    page = sign_in(busy.project).get(plan_address(busy, change=0.1)).content.decode()
    assert "data-too-long" in page
    assert "data-weeks" not in page
    assert "Choose a larger change: 8 weeks find one from +" in page
    assert not re.search(r"\b\d[\d,]{4,} days\b", page)


def test_a_first_visit_plans_with_what_there_is_and_who_only_reads_gets_no_form(busy):
    page = sign_in(busy.project).get(f"/p/{busy.project.slug}/plan/").content.decode()
    assert "data-choice" in page
    assert "experiments/new/?" not in page


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("change", "0", "greater than or equal to 0.01"),
        ("change", "x", "Enter a number"),
        ("allocation", "0", "greater than or equal to 0.1"),
        ("surface", "0", "Select a valid choice"),
    ],
)
def test_a_field_that_breaks_its_rule_says_so_and_keeps_the_others(busy, field, value, sentence):
    page = sign_in(busy.project).get(plan_address(busy, **{field: value})).content.decode()
    assert sentence in page
    other = {"change": "allocation", "allocation": "change", "surface": "change"}[field]
    expected = {"allocation": "100", "change": "40"}[other]
    assert read_form(page, "planner")[other] == [expected]


def test_a_surface_without_traffic_says_so_at_its_field(busy):
    quiet = busy.project.surfaces.create(key="quiet")
    page = sign_in(busy.project).get(plan_address(busy, surface=quiet.pk)).content.decode()
    assert "Not enough traffic: last week &#x27;quiet&#x27; had 0 users" in page


def test_api_and_command_say_the_same(busy, lane, console):
    headers = {"Authorization": f"Bearer {busy.secret}"}
    path = "/v1/surfaces/home-feed/plan?min_lift=0.4"
    answer = lane.client.get(path, headers=headers).json()
    result = plan_change(busy.surface, busy.metric, Design(), lift=0.4)
    assert (answer["planned_units"], answer["weeks"]) == (result.plan.units, result.weeks)
    assert answer["sentences"] == []
    assert answer["interleaved"] == {
        "users": result.interleaved.users,
        "weeks": result.interleaved.weeks,
    }
    command = ["power", "--surface", "home-feed", "--mde", "0.4", "--project", busy.project.slug]
    printed = json.loads(console(*command, "--format", "json").stdout)
    assert printed["planned_units"] == answer["planned_units"]
    shown = console(*command).stdout
    assert shown.startswith(f"{result.plan.units:,} users, {result.weeks} week")
    assert "Or interleave the lists of both versions" in shown
    long = lane.client.get(f"{path[:-3]}0.001", headers=headers).json()
    assert long["weeks"] is None
    assert long["sentences"][0].startswith("Choose a larger change")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("min_lift=0", "min_lift == 0, must be above 0."),
        ("metric=none", "metric == 'none', must be one of ['clicks']."),
        ("allocation=2", "allocation == 2, must be in (0, 1]."),
        ("treatment_share=0", "split == [1.0, 0.0], must be at least two positive shares."),
    ],
)
def test_the_api_refuses_what_breaks_a_rule(busy, lane, query, message):
    headers = {"Authorization": f"Bearer {busy.secret}"}
    answer = lane.client.get(f"/v1/surfaces/home-feed/plan?{query}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, message)


@pytest.fixture
def eager(shop):
    """A shop of which 96 % of the users click, by a metric that stands first in the list."""
    rows = Rows()
    for n in range(100):
        rows.slates.append(builders.slate(shop, f"u{n}", served_at=builders.minutes_ago(5)))
        if n < 96:
            rows.events.append(builders.event(shop.project, unit=f"u{n}", event_id=f"{n}"))
    builders.write(rows)
    shop.project.metrics.create(key="arrived", kind="proportion", event="click")
    return shop


def test_a_first_visit_chooses_the_metric_of_the_surface(eager):
    page = f"/p/{eager.project.slug}/plan/"
    client, arrived = sign_in(eager.project), eager.project.metrics.get(key="arrived")

    def chosen():
        return read_form(client.get(page).content.decode(), "planner")["primary"]

    assert chosen() == [str(eager.metric.pk)]
    builders.experiment(eager, eager.surface, "before", metrics=[ExperimentMetricDraft(arrived)])
    assert chosen() == [str(arrived.pk)]
    builders.set_programme(eager)  # whose primary metric is clicks
    assert chosen() == [str(eager.metric.pk)]


def test_what_most_users_do_says_how_far_it_can_rise(eager, lane, console):
    metric = eager.project.metrics.get(key="arrived")
    page = sign_in(eager.project).get(plan_address(eager, primary=metric.pk, change=5))
    sentence = "96% of users already do this; it can rise by at most 4.2%."
    assert sentence in page.content.decode()
    lane.refresh()
    answer = lane.client.get(
        "/v1/surfaces/home-feed/plan?metric=arrived",
        headers={"Authorization": f"Bearer {eager.secret}"},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == f"min_lift == 0.05, must be below 0.0417: {sentence}"
    refused = console(
        "power", "--surface", "home-feed", "--metric", "arrived", "--mde", "0.05",
        "--project", eager.project.slug, status=2,
    )  # fmt: skip
    assert sentence in " ".join(refused.stderr.split())
    possible = plan_address(eager, primary=metric.pk, change=4)
    assert "data-weeks" in sign_in(eager.project).get(possible).content.decode()
