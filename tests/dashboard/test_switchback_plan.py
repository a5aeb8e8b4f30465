"""A switchback is planned from a surface's own past blocks: form, API and command say the same."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from bakeoff.dashboard.templatetags.numbers import share
from experiments.actions.define_experiment import define_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.scorecards.block_plan import FewBlocksError, plan_blocks
from experiments.scorecards.plan import PlanQuestion, plan
from experiments.scorecards.switchback_plan import plan_switchback
from experiments.scorecards.traffic_plan import Design
from experiments.stats.totals import StatisticsError
from tests.support import builders
from tests.support.blocks import GUARD, LENGTH, LEVELS, POLICY, Blocks
from tests.support.dashboard import sign_in

LENGTHS = {"block_seconds": LENGTH, "carry_over_seconds": GUARD}
PATH = "/v1/surfaces/home-feed/plan?mode=switchback"


@pytest.fixture
def blocks(shop, lane):
    """40 past blocks of five minutes, each with five users."""
    draft = builders.draft(shop, shop.surface, "by-block", mode="switchback", policy=POLICY)
    experiment = start_experiment(experiment=define_experiment(draft), by="a test")
    lane.refresh()
    return Blocks(shop, experiment).visit(LEVELS, users=5)


def question(**fields):
    """The plan of the sums that `blocks` writes, by the formulas alone."""
    sums = np.array([5.0 * LEVELS[n % 10] + 2 for n in range(40)])
    return PlanQuestion(
        kind="mean", baseline=sums.mean() / 5, sd=sums.std(ddof=1) / 5, shares=[0.5, 0.5], rule="fixed",
        **fields,
    )  # fmt: skip


def test_the_calculator_says_what_a_number_of_blocks_finds(shop, blocks):
    client = sign_in(shop.project, role="analyst")

    def ask_plan(**fields):
        sent = {
            "surface": shop.surface.pk, "primary": shop.metric.pk,
            "mode": "switchback", "block_minutes": "5", "carry_over_minutes": "1", "planned_blocks": "60",
        } | fields  # fmt: skip
        return client.post(f"/p/{shop.project.slug}/experiments/plan/", sent).content.decode()

    sums = np.array([5.0 * LEVELS[n % 10] + 2 for n in blocks.numbers])
    question = PlanQuestion(
        kind="mean", baseline=sums.mean() / 5, sd=sums.std(ddof=1) / 5, units=60, shares=[0.5, 0.5],
        rule="fixed",
    )  # fmt: skip
    lengths = {"block_seconds": LENGTH, "carry_over_seconds": GUARD}
    result = plan_blocks(shop.surface, shop.metric, Design(planned_units=60), **lengths)
    assert result.plan.mde_relative == pytest.approx(plan(question).mde_relative)
    assert (result.users_per_block, result.baseline) == (5, pytest.approx(sums.mean() / 5))
    page = ask_plan()
    assert "60 blocks of 5 minutes take 5 hours" in page
    assert f"<dd>{share(result.plan.mde_relative)} of" in page
    # 200 minutes lie in three or four whole hours.
    assert re.search(
        "[34] past blocks of 1 hour had users, and 20 are needed", ask_plan(block_minutes="60")
    )
    assert "Enter the minutes of a block" in ask_plan(carry_over_minutes="")


def test_a_plan_is_that_of_the_formulas_over_past_blocks(shop, blocks):
    result = plan_switchback(shop.surface, shop.metric, Design(), lift=0.2, **LENGTHS)
    expected = plan(question(mde=0.2))
    assert result.planned_blocks == result.blocks.plan.units == expected.units
    assert result.weeks == -(-result.planned_blocks * 300 // (7 * 86_400))
    assert (result.blocks.past_blocks, result.blocks.users_per_block) == (40, 5)
    assert result.blocks.deviation == pytest.approx(question(mde=0.2).sd)
    assert [one.units for one in result.choices] == [2016, 4032, 8064, 16_128]
    assert result.choices[0].lift == pytest.approx(plan(question(units=2016.0)).mde_relative)
    # So large a change is seen in fewer blocks than a verdict needs.
    large = plan_switchback(shop.surface, shop.metric, Design(treatment_share=0.2), lift=9, **LENGTHS)
    assert large.blocks.plan.units < large.planned_blocks == 100


def test_what_takes_too_long_says_what_to_change(shop, blocks):
    design = Design(treatment_share=0.3)
    result = plan_switchback(
        shop.surface, shop.metric, design, lift=0.01, block_seconds=420, carry_over_seconds=60
    )
    assert result.weeks is None
    assert list(result.advice) == ["larger_change", "shorter_blocks", "even_split", "commoner_event"]


def test_api_and_command_say_the_same(shop, blocks, lane, console):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    address = f"{PATH}&min_lift=0.2&block_seconds=300&carry_over_seconds=60"
    answer = lane.client.get(address, headers=headers).json()
    result = plan_switchback(shop.surface, shop.metric, Design(), lift=0.2, **LENGTHS)
    assert (answer["mode"], answer["planned_units"]) == ("switchback", result.planned_blocks)
    assert (answer["past_blocks"], answer["weeks"], answer["advice"]) == (40, result.weeks, [])
    assert answer["sentences"] == [
        "From 40 past blocks of 5 minutes: clicks was 2.4 per user and varied by ±1.4 between them. The "
        "first 1 minute of a block, in which the one before still acts, count for nobody."
    ]
    command = [
        "power", "--surface", "home-feed", "--mde", "0.2", "--project", shop.project.slug,
        "--block-seconds", "300", "--carry-over-seconds", "60",
    ]  # fmt: skip
    printed = json.loads(console(*command, "--format", "json").stdout)
    assert {
        name: printed[name] for name in ("planned_units", "weeks", "block_deviation", "sentences")
    } == {name: answer[name] for name in ("planned_units", "weeks", "block_deviation", "sentences")}
    shown = console(*command).stdout
    assert shown.startswith(f"{result.planned_blocks:,} blocks of 5 minutes, {result.weeks} week")
    assert "From 40 past blocks" in shown


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("block_seconds=300", "carry_over_seconds == 0, must be at least 60: answers are under way when a "
         "block begins, and clocks differ."),
        ("block_seconds=300&carry_over_seconds=400", "carry_over_seconds == 400, must be at most 150, half "
         "of block_seconds: less of a block would count than is left out."),
        ("carry_over_seconds=60", "block_seconds == 0, must be at least 300 in a switchback."),
        ("block_seconds=300&carry_over_seconds=60&rule=exact", "rule == 'exact', must be 'fixed' by blocks: "
         "they are judged once, at their planned number."),
        ("block_seconds=300&carry_over_seconds=60&allocation=0.5", "allocation == 0.5, must be 1 by blocks: "
         "all users of a block share its variant."),
        ("block_seconds=300&carry_over_seconds=60&treatment_share=1", "treatment_share == 1, must be in (0, 1)."),
        ("block_seconds=300&carry_over_seconds=60&min_lift=0", "min_lift == 0, must be above 0."),
        ("block_seconds=300&carry_over_seconds=60", "past blocks of 300 s with users == 0, must be at least "
         "20, some of them with the metric's event."),
        ("mode=split&block_seconds=300", "block_seconds == 300, must be 0: mode == 'split', and only mode "
         "'switchback' has blocks of time."),
    ],
)  # fmt: skip
def test_the_api_refuses_what_breaks_a_rule(shop, lane, query, message):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    address = f"{PATH.partition('?')[0]}?{query}" if "mode" in query else f"{PATH}&{query}"
    answer = lane.client.get(address, headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, message)


def test_flags_and_later_days_are_refused(shop):
    flag = shop.project.surfaces.create(key="button", kind="flag")
    with pytest.raises(
        StatisticsError, match="on a surface of kind 'flag', must be on one whose answers"
    ):
        plan_switchback(flag, shop.metric, Design(), lift=0.1, **LENGTHS)
    later = shop.project.metrics.create(
        key="back", kind="retention", event="click", delay_seconds=86_400
    )
    with pytest.raises(StatisticsError, match="metric == 'back', must be no quantile and have delay"):
        plan_switchback(shop.surface, later, Design(), lift=0.1, **LENGTHS)
    with pytest.raises(FewBlocksError, match="past blocks of 300 s with users == 0"):
        plan_switchback(shop.surface, shop.metric, Design(), lift=0.1, **LENGTHS)
