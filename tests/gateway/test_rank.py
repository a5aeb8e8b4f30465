"""Decisions and their rewards over HTTP: what is chosen, stored, refused, and counted once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from uuid_utils import uuid7

from experiments.ingest.rows import Rows
from experiments.models import Event, Exposure, Slate
from experiments.tasks import drain_spilled_rows
from inference.models import Surface
from tests.support import builders
from tests.support.ranking import ACTIONS, decide, make_rank_surface, report_counted, reward
from tests.support.waiting import wait_until


@pytest.fixture
def offers(shop, lane):
    shop.surface = make_rank_surface(shop.project)
    lane.refresh()
    return shop


def refusal(lane, shop, key=None, **body):
    whole = {"surface": "offers", "unit_id": "u1", "actions": ACTIONS} | body
    answer = lane.post("/v1/rank", whole, key or shop.public)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_an_action_is_chosen_with_its_propensity_and_stored(lane, offers):
    answer = decide(lane, offers, features={"hour": 9})
    assert answer.keys() >= {"recommendation_id", "action", "propensity", "default", "fallback"}
    assert (answer["default"], answer["fallback"], answer["model"]) == ("a", "no_champion", None)
    slate = Slate.objects.get(recommendation_id=answer["recommendation_id"])
    item, _, _, propensity, _ = slate.slots[0]
    assert (item, propensity) == (answer["action"], answer["propensity"])
    decision = slate.context["$rank"]
    assert decision["default"] == "a"
    assert decision["context"] == {"hour": 9}
    assert decision["features"] == next(a["features"] for a in ACTIONS if a["id"] == item)
    assert decision["default_propensity"] == pytest.approx(0.9 + 0.1 / 3)
    assert slate.candidate_count == 3
    assert slate.context["device"] == "phone"


def test_each_action_is_explored_and_the_default_is_taken_else(lane, offers):
    drawn = [decide(lane, offers, unit=f"u{n}") for n in range(120)]
    assert {one["propensity"] for one in drawn if one["action"] == "a"} == {0.9 + 0.1 / 3}
    others = [one for one in drawn if one["action"] != "a"]
    assert all(one["propensity"] == pytest.approx(0.1 / 3) for one in others)
    assert 0 < len(others) < 40  # 8 expected
    named = [decide(lane, offers, default="c", unit=f"v{n}")["action"] for n in range(10)]
    assert named.count("c") >= 5


@pytest.mark.parametrize(
    ("features", "stored"),
    [
        (
            [
                {"price": 1.23456789, "brand": "x", "new": True},
                {"brand": None, "new": False, "price": None},
            ],
            (["price", "new"], [[1.2346, 1.0], [None, 0.0]], {"brand": ["x", None]}),
        ),
        # Plain numbers alone are read in another way, whatever their order; so are those with a gap.
        (
            [{"price": 1.5, "new": True}, {"new": False, "price": -2}],
            (["price", "new"], [[1.5, 1.0], [-2.0, 0.0]], {}),
        ),
        (
            [{"price": 1.5, "new": None}, {"new": 3, "price": 0}],
            (["price", "new"], [[1.5, None], [0.0, 3.0]], {}),
        ),
    ],
    ids=["texts", "numbers", "gaps"],
)
def test_features_of_all_actions_are_stored_of_a_sample(lane, offers, features, stored):
    Surface.objects.filter(pk=offers.surface.pk).update(rank={"sample": 1})
    lane.refresh()
    actions = [{"id": name, "features": one} for name, one in zip("ab", features, strict=True)]
    answer = decide(lane, offers, actions=actions)
    slate = Slate.objects.get(recommendation_id=answer["recommendation_id"])
    names, numbers, texts = stored
    assert slate.context["$rank"]["actions"] == {
        "ids": ["a", "b"], "names": names, "numbers": numbers, "texts": texts,
    }  # fmt: skip


def test_before_a_first_version_all_actions_are_stored_where_they_are_few(lane, offers):
    def is_stored(**body):
        answer = decide(lane, offers, **body)
        slate = Slate.objects.get(recommendation_id=answer["recommendation_id"])
        return "actions" in slate.context["$rank"]

    assert all(is_stored() for _ in range(6))
    wide = [{"id": f"a{n}", "features": {f"x{k}": n + k for k in range(200)}} for n in range(200)]
    assert not all(is_stored(actions=wide) for _ in range(6))  # by a chance of a tenth each
    few = [{"id": f"a{n}", "features": {f"x{k}": n + k for k in range(160)}} for n in range(4)]
    assert any(is_stored(actions=few) for _ in range(40))  # by a chance of .8 each
    sampled = Slate.objects.filter(surface=offers.surface, context__has_key="$rank")
    shares = {
        (len(one["actions"]["ids"]), one.get("stored", 1))
        for one in sampled.values_list("context__$rank", flat=True)
        if "actions" in one
    }
    assert {(3, 1), (4, 0.8)} <= shares <= {(3, 1), (4, 0.8), (200, 0.1)}
    Surface.objects.filter(pk=offers.surface.pk).update(rank={"sample": 0})
    lane.refresh()
    assert not any(is_stored() for _ in range(6))


def test_a_reward_counts_once_whoever_sends_it_again(lane, offers):
    decision = decide(lane, offers)
    assert reward(lane, offers, decision, 0.5).json() == {
        "accepted": 1, "duplicates": 0, "durability": "committed",
    }  # fmt: skip
    for key in (offers.public, offers.secret):
        again = reward(lane, offers, decision, 1.0, key=key)
        assert (again.status_code, again.json()["duplicates"]) == (202, 1)
    event = Event.objects.get(project=offers.project, name="reward")
    assert (event.value, event.unit_id, event.source) == (0.5, "u1", "reward")
    assert str(event.recommendation_id) == decision["recommendation_id"]


def test_rewards_are_refused_before_their_decision_late_and_out_of_range(lane, offers):
    unknown = reward(lane, offers, {"recommendation_id": str(uuid7())}, 1)
    assert unknown.status_code == 404
    assert "no decision of /v1/rank in project" in unknown.json()["error"]["message"]
    other = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, offers.public).json()
    assert reward(lane, offers, other, 1).status_code == 404
    decision = decide(lane, offers)
    for value, message in [
        (1.5, "value == 1.5, must be a number in [0, 1] on 'offers'."),
        ("1", "value == '1', must be a number in"),
        (None, "value is missing, must be a number in"),
    ]:
        refused = reward(lane, offers, decision, value)
        assert refused.status_code == 400
        assert message in refused.json()["error"]["message"]
    Slate.objects.filter(recommendation_id=decision["recommendation_id"]).update(
        served_at=builders.now() - timedelta(seconds=700)
    )
    late = reward(lane, offers, decision, 1)
    assert late.status_code == 409
    assert "must come within 600 s (wait_seconds of 'offers')" in late.json()["error"]["message"]
    assert not Event.objects.filter(project=offers.project, name="reward").exists()


def test_another_project_cannot_reward_a_decision(lane, offers):
    stranger = builders.make_shop()
    lane.refresh()
    assert reward(lane, stranger, decide(lane, offers), 1).status_code == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": []}, "actions == [], must be a list of 1 to 200 actions."),
        ({"actions": [{"id": "a"}]}, "actions[0].features is missing, must be an object of 1 to 200"),
        ({"actions": [{"id": "a", "features": {}}]}, "actions[0].features == '0 of them', must be"),
        (
            {"actions": [{"id": f"a{n}", "features": {"x": 1}} for n in range(3000)]},
            "actions == '3000 of them', must be at most 200.",
        ),
        (
            {"actions": [{"id": "a", "features": {"x": 1}}] * 2},
            "actions.id == 'a', must be the id of one action only.",
        ),
        (
            {"actions": [{"id": "a", "features": {"x": 1}}, {"id": "b", "features": {"y": 1}}]},
            "actions[1].features == \"without 'x'\", must be named as the features of the first action",
        ),
        (
            {"actions": [{"id": "a", "features": {"x": 1}}, {"id": "b", "features": {"x": "1"}}]},
            "actions[0].features.x == 1, must be a text of at most 200 characters, as of other",
        ),
        (
            {"actions": [{"id": "a", "features": {"x": [1]}}]},
            "actions[0].features.x == [1], must be a number, true, false, null or 200 characters.",
        ),
        (
            {"actions": [{"id": "a", "features": {"x": 1e16}}]},
            "actions[0].features.x == 1e+16, must be a number in [-1e+15, 1e+15].",
        ),
        ({"k": 3}, "k == 3, must be 1 or missing: one action is chosen, /v1/recommend gives lists."),
        ({"k": [3]}, "k == [3], must be 1 or missing"),
        ({"default": "z"}, "default == 'z', must be the id of one of the actions."),
        ({"features": {"x": [1]}}, "features.x == [1], must be"),
        (
            {"features": {f"x{n}": 1 for n in range(51)}},
            "features == '51 of them', must be at most 50.",
        ),
        ({"expose": False}, "expose == false, must be true: an action counts from its decision on."),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_with_value_and_rule(lane, offers, change, message):
    assert message in refusal(lane, offers, offers.secret, **change)["message"]


def test_features_that_are_not_finite_are_refused(lane, offers):
    body = '{"surface": "offers", "unit_id": "u1", "actions": [{"id": "a", "features": {"x": %s}}]}'
    for value in ("NaN", "Infinity", "1e999"):
        answer = lane.client.post(
            "/v1/rank",
            content=body % value,
            headers={"Authorization": f"Bearer {offers.public}", "Content-Type": "application/json"},
        )
        assert answer.status_code == 400
        assert "must be a finite number" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ('[{"id": "a", "features": {"x\\ud800": 1}}]', "well-formed Unicode"),
        ('[{"id": "a", "features": {"x\\u0000": 1}}]', "a text without U+0000"),
        ('[{"id": "a", "features": {"x": "\\ud800"}}]', "well-formed Unicode"),
        ('[{"id": "a", "features": {"x": "y\\u0000"}}]', "a text without U+0000"),
        ('[{"id": "\\ud800", "features": {"x": 1}}]', "well-formed Unicode"),
        ('[{"id": "a", "features": {"x": 1}}, {"id": "b", "features": {"x": 1, "\\ud800": 1}}]', "must be named as the features"),
        ('[{"id": "a", "features": {"x": ' + "[" * 40 + "]" * 40 + "}}]", "nested at most 32 levels deep"),
        ('"\\ud800"', "must be a list of 1 to 200 actions"),
    ],
)  # fmt: skip
def test_actions_that_cannot_be_stored_are_refused(lane, offers, actions, message):
    answer = lane.client.post(
        "/v1/rank",
        content=f'{{"surface": "offers", "unit_id": "u1", "actions": {actions}}}',
        headers={"Authorization": f"Bearer {offers.public}", "Content-Type": "application/json"},
    )
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]["message"]


def test_what_an_action_says_beside_its_features_is_passed_over(lane, offers):
    more = [one | {"title": "\0", "of": {"x": [1]}} for one in ACTIONS]
    assert decide(lane, offers, actions=more)["action"] in {"a", "b", "c"}


def test_a_surface_of_another_kind_names_the_route(lane, offers):
    whole = {"surface": "home-feed", "unit_id": "u1", "actions": ACTIONS}
    error = lane.post("/v1/rank", whole, offers.public).json()["error"]
    assert error["message"] == (
        "surface 'home-feed' is of kind 'recommend', must be 'rank': ask /v1/recommend."
    )


def test_settings_are_refused_with_value_and_rule(lane, offers):
    headers = {"Authorization": f"Bearer {offers.secret}"}
    for settings, message in [
        ({"control_share": 0}, "rank.control_share == 0, must be a number in [0.05, 1]."),
        ({"control_share": 0.6, "explore": 0.5}, "rank.control_share + rank.explore == 1.1, must be"),
        ({"min_reward": 1}, "rank.min_reward == 1, must be below rank.max_reward == 1."),
        ({"default_reward": 2}, "rank.default_reward == 2, must be in [0, 1]."),
        ({"wait": 5}, "rank.wait: unknown field, must be one of"),
        ({"explore": True}, "rank.explore == True, must be a number in [0, 1]."),
    ]:
        answer = lane.client.patch("/v1/surfaces/offers", json={"rank": settings}, headers=headers)
        assert answer.status_code == 422
        assert message in answer.json()["error"]["message"]
    other = lane.client.patch(
        "/v1/surfaces/home-feed", json={"rank": {"explore": 0.2}}, headers=headers
    )
    assert "must be empty on a surface of kind 'recommend'" in other.json()["error"]["message"]


def test_who_refuses_analytics_leaves_no_decision_and_no_reward(lane, offers):
    consent = {"analytics": False}
    answer = decide(lane, offers, consent=consent)
    assert answer["recorded"] is False
    assert not Slate.objects.filter(recommendation_id=answer["recommendation_id"]).exists()
    refused = lane.post(
        "/v1/reward",
        {"recommendation_id": answer["recommendation_id"], "value": 1, "consent": consent},
        offers.public,
    )
    assert refused.json()["accepted"] == 0


def test_a_decision_that_was_spilled_is_no_unknown_one(offers, outage):
    outage.lane.refresh()
    before = decide(outage.lane, offers)
    outage.postgres.cut()
    away = reward(outage.lane, offers, before, 1)
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    spilled = decide(outage.lane, offers, unit="u2")
    assert "recorded" not in spilled  # it is in the spill
    outage.postgres.mend()

    def is_taken():
        answer = reward(outage.lane, offers, spilled, 1)
        assert answer.status_code in {202, 503}, answer.text  # never unknown
        return answer.status_code == 202

    assert not is_taken()
    drain_spilled_rows()
    wait_until(is_taken)
    assert reward(outage.lane, offers, spilled, 1).json()["duplicates"] == 1
    assert Event.objects.filter(project=offers.project, name="reward", unit_id="u2").count() == 1


def write_decision(shop, unit, *, action, reward_value=None, ago=1000.0, **decision):
    """Commit a decision whose time for rewards is over, and its reward."""
    at = builders.now() - timedelta(seconds=ago)
    about = {"default": "a", "default_propensity": 0.5, "features": {"price": 1}} | decision
    slate = builders.slate(
        shop, unit, (action,), context={"$rank": about}, model_version_id=None,
        served_at=at.isoformat(), slots=[(action, 0.0, 1, 0.5, False)],
    )  # fmt: skip
    events = []
    if reward_value is not None:
        events.append(
            builders.event(
                shop.project, unit=unit, name="reward", at=at.isoformat(), value=reward_value,
                source="reward", recommendation_id=slate.recommendation_id,
            )
        )  # fmt: skip
    builders.write(Rows(slates=[slate], events=events))


def test_the_value_counts_decisions_whose_time_is_over(lane, offers):
    for n in range(40):
        write_decision(offers, f"b{n}", action="b", reward_value=1.0)
        write_decision(offers, f"a{n}", action="a")
    reward(lane, offers, decide(lane, offers), 1.0)  # its time is not over
    report = report_counted(offers.surface)
    assert (report.value.decisions, report.value.controls, report.rewarded) == (80, 40, 40)
    assert report.value.served == pytest.approx(0.5)
    assert report.value.difference == pytest.approx(0.5, abs=0.15)
    assert report.value.interval[0] > 0
    assert report.value.is_better
    assert report.course[-1].value == report.value
    assert [(one.label, one.value.decisions) for one in report.versions] == [("", 80)]


def test_a_range_and_a_default_reward_of_its_own(offers):
    offers.surface.rank = {"min_reward": -10, "max_reward": 10, "default_reward": -5}
    offers.surface.save()
    for n in range(4):
        write_decision(offers, f"b{n}", action="b", reward_value=10.0 if n % 2 else None)
    assert report_counted(offers.surface).value.served == pytest.approx((0.25 * 2 + 1 * 2) / 4)


def test_no_exposure_is_recorded_without_an_experiment(lane, offers):
    decide(lane, offers)
    assert not Exposure.objects.filter(project=offers.project).exists()
