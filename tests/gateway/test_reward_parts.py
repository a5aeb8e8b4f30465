"""Rewards that come in parts: they add up, each once, and count when their time is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.ingest.rows import Rows
from experiments.models import Event, Slate
from experiments.training_data.decisions import decisions_of
from tests.support import builders
from tests.support.ranking import decide, make_rank_surface, report_counted, reward


@pytest.fixture
def offers(shop, lane):
    shop.surface = make_rank_surface(shop.project)
    lane.refresh()
    return shop


def is_over(decision):
    """Let a decision be of an hour ago, and its rewards be of just after."""
    at = builders.now() - timedelta(hours=1)
    named = {"recommendation_id": decision["recommendation_id"]}
    Slate.objects.filter(**named).update(served_at=at)
    Event.objects.filter(**named).update(occurred_at=at + timedelta(seconds=1))


def refused(lane, shop, decision, value, **fields):
    answer = reward(lane, shop, decision, value, **fields)
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"]


def test_parts_add_up_and_each_name_counts_once(lane, offers):
    decision = decide(lane, offers)
    for value, part, accepted in [
        (0.1, "click", 1),
        (0.6, "order:1", 1),
        (0.9, "click", 0),
        (-0.2, "return", 1),
    ]:
        answer = reward(lane, offers, decision, value, part=part).json()
        assert (answer["accepted"], answer["duplicates"]) == (accepted, 1 - accepted)
    stored = Event.objects.filter(project=offers.project, name="reward").order_by("event_id")
    assert [(one.properties, one.value) for one in stored] == [
        ({"part": "click"}, 0.1), ({"part": "order:1"}, 0.6), ({"part": "return"}, -0.2)
    ]  # fmt: skip
    # While more may come, nothing counts.
    assert report_counted(offers.surface).value.decisions == 0
    assert len(decisions_of(offers.surface)) == 0
    is_over(decision)
    assert decisions_of(offers.surface).reward == pytest.approx([0.5])
    report = report_counted(offers.surface)
    assert (report.rewarded, report.value.served) == (1, pytest.approx(0.5))


def test_a_part_that_takes_the_sum_out_of_the_range_is_refused_with_the_sum(lane, offers):
    decision = decide(lane, offers)
    assert reward(lane, offers, decision, 0.7, part="click").status_code == 202
    for value in (0.4, -0.8):
        status, code, message = refused(lane, offers, decision, value, part="order")
        assert (status, code) == (400, "invalid_value")
        assert (
            f"value == {value:g}, must be a number that with the parts before it (0.7) lies in [0, 1]"
            in message
        )
    assert reward(lane, offers, decision, 0.3, part="order").json()["accepted"] == 1


def test_parts_may_pass_the_range_by_an_error_of_the_last_digit(lane, offers):
    decision = decide(lane, offers)
    for part, value in {"a": 0.7, "b": 0.1, "c": 0.1, "d": 0.1 + 1e-12}.items():
        assert reward(lane, offers, decision, value, part=part).json()["accepted"] == 1
    is_over(decision)
    assert decisions_of(offers.surface).reward == [1.0]


def test_a_decision_has_a_whole_reward_or_parts(lane, offers):
    whole, parts = decide(lane, offers), decide(lane, offers, unit="u2")
    reward(lane, offers, whole, 0.5)
    reward(lane, offers, parts, 0.5, part="click")
    assert refused(lane, offers, whole, 0.1, part="click")[:2] == (409, "reward_is_whole")
    assert refused(lane, offers, parts, 0.5)[:2] == (409, "reward_is_in_parts")
    # A retry of what counts stays a duplicate.
    assert reward(lane, offers, whole, 0.5).json()["duplicates"] == 1
    assert reward(lane, offers, parts, 0.5, part="click").json()["duplicates"] == 1


def test_a_late_part_is_refused_and_a_late_retry_is_a_duplicate(lane, offers):
    decision = decide(lane, offers)
    reward(lane, offers, decision, 0.5, part="click")
    is_over(decision)
    assert refused(lane, offers, decision, 0.1, part="order")[:2] == (409, "too_late")
    assert reward(lane, offers, decision, 0.5, part="click").json()["duplicates"] == 1
    assert decisions_of(offers.surface).reward == pytest.approx([0.5])


@pytest.mark.parametrize("part", ["", "x" * 101, 7, ["click"]])
def test_a_name_that_is_none_is_refused(lane, offers, part):
    status, _, message = refused(lane, offers, decide(lane, offers), 0.5, part=part)
    assert status == 400
    assert message.startswith("part ==")


def write_rewards(shop, *rewards):
    """Commit a decision of an hour ago with events of its reward: a value and the part's name, or None."""
    at = (builders.now() - timedelta(hours=1)).isoformat()
    slate = builders.slate(
        shop, "u1", ("a",), model_version_id=None, slots=[("a", 0.0, 1, 0.5, False)], served_at=at,
        context={"$rank": {"default": "a", "default_propensity": 0.5, "features": {"price": 1}}},
    )  # fmt: skip
    events = [
        builders.event(
            shop.project, unit="u1", name="reward", source="reward", value=value, at=at,
            recommendation_id=slate.recommendation_id, properties={"part": part} if part else {},
        )
        for value, part in rewards
    ]  # fmt: skip
    builders.write(Rows(slates=[slate], events=events))


def test_where_a_whole_reward_and_a_part_came_at_one_moment_the_whole_counts(offers):
    write_rewards(offers, (0.9, "click"), (0.4, None), (0.8, "order"))
    assert decisions_of(offers.surface).reward == pytest.approx([0.4])


def test_parts_of_one_moment_that_pass_the_range_are_cut_where_they_are_read(offers):
    write_rewards(offers, (0.8, "click"), (0.8, "order"))
    assert report_counted(offers.surface).value.served == 1.0
