"""A verdict where too few users have a value: the direction where it is known, never "no difference"."""

from __future__ import annotations

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from tests.support import builders
from tests.support.dashboard import report_path, sign_in

GATED = builders.QUICK_POLICY | {"minimum_nonzero": 160}  # of 200 users each


def look(shop, clicks, **policy):
    """Return the verdict of a report, and its page in Chinese, after an analysis."""
    experiment = shop.run_experiment(**GATED | policy)
    builders.visits(experiment, clicks)
    look_at_experiment(experiment_id=experiment.pk)
    client = sign_in(experiment.project)
    verdict = client.get(report_path(experiment, "report.json")).json()["verdict"]
    page = client.get(report_path(experiment), headers={"accept-language": "zh-hans"}).content.decode()
    return verdict, page


def test_what_is_rolled_back_is_worse_though_nobody_can_say_by_how_much(shop, lane):
    verdict, chinese = look(
        shop, {"control": 2, "treatment": 1}, minimum_nonzero=500, planned_units=4000
    )
    assert verdict["sentence"] == (
        "Rolled back popularity@2. It is worse in clicks per user: 1.5 against 2.5, with too few users "
        "with a value to say by how much."
    )
    assert verdict["next_step"] == "popularity@1 serves everyone now. Nothing is left to do."
    assert (
        "已回滚 popularity@2。它的每用户 clicks更差：1.5 对 2.5；有数值的用户太少，无法判断差多少。"
        in chinese
    )
    assert "大小未知" in chinese


@pytest.mark.parametrize("clicks", [{"control": 0, "treatment": 1}, {"control": 0, "treatment": 0}])
def test_without_a_winner_too_few_values_ask_for_more_users(shop, lane, clicks):
    verdict, chinese = look(shop, clicks, overrun=1.0)
    treatment = {0: "0.5", 1: "1.5"}[clicks["treatment"]]
    assert verdict["sentence"] == (
        "No winner. Too few users with a value to tell the change in clicks per user: "
        f"{treatment} against 0.5."
    )
    assert verdict["next_step"].endswith("Next, test it again with more users.")
    assert f"有数值的用户太少，无法判断每用户 clicks的变化：{treatment} 对 0.5。" in chinese
    assert "下一步请用更多用户再次测试。" in chinese


def test_a_person_who_decides_is_told_to_plan_more_users(shop, lane):
    verdict, chinese = look(shop, {"control": 0, "treatment": 1}, overrun=1.0, promote=False)
    assert verdict["next_step"] == (
        "Your decision: too few users have a value, so stop it and plan more users."
    )
    assert "有数值的用户太少，请停止实验并计划更多用户。" in chinese


def test_one_planned_analysis_that_is_yet_to_come_finds_no_difference_and_none_missing(shop, lane):
    verdict, chinese = look(shop, {"control": 1, "treatment": 2}, rule="fixed", planned_units=4000)
    assert verdict["sentence"] == (
        "Keep running. Too early to tell the change in clicks per user: 2.5 against 1.5 so far."
    )
    assert "现在判断每用户 clicks的变化为时过早：目前 2.5 对 1.5。" in chinese
