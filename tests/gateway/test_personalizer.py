"""Clients of Azure Personalizer: their requests unchanged, and nothing counted twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from experiments.models import Event, Exposure, Slate
from inference.models import Surface
from tests.support import builders
from tests.support.personalizer import ACTIONS, CONTEXT
from tests.support.ranking import make_rank_surface

RANK = "/personalizer/v1.0/rank"
KEY = "Ocp-Apim-Subscription-Key"


@pytest.fixture
def offers(shop, lane):
    shop.surface = make_rank_surface(shop.project, explore=0.6)
    lane.refresh()
    return shop


def call(lane, shop, path, body=None, *, key=None):
    return lane.client.post(path, json=body, headers={KEY: key or shop.public})


def rank(lane, shop, **body):
    answer = call(lane, shop, RANK, {"actions": ACTIONS, "contextFeatures": CONTEXT} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def event(lane, shop, event_id, what, body=None):
    return call(lane, shop, f"/personalizer/v1.0/events/{event_id}/{what}", body)


def decisions(shop):
    return Slate.objects.filter(surface=shop.surface)


def test_an_action_is_chosen_and_stored_with_its_probability(lane, offers):
    answer = rank(lane, offers)
    assert answer.keys() == {"ranking", "eventId", "rewardActionId"}
    first = answer["ranking"][0]
    assert first["id"] == answer["rewardActionId"]
    assert sum(one["probability"] for one in answer["ranking"]) == pytest.approx(1)
    assert {one["id"] for one in answer["ranking"]} == {"none", "half", "gift"}
    slate = decisions(offers).get()
    assert (slate.slots[0][0], slate.slots[0][3]) == (first["id"], first["probability"])
    assert slate.unit_id == f"event:{answer['eventId']}"
    decision = slate.context["$rank"]
    assert decision["default"] == "none"
    assert decision["context"] == {"device.kind": "phone", "hour": 9, "tags": "a,b"}
    assert decision["features"].keys() == {"price", "taste.hot", "brand"}


def test_actions_that_are_excluded_are_never_chosen(lane, offers):
    answers = [rank(lane, offers, excludedActions=["none"]) for _ in range(12)]
    assert {one["rewardActionId"] for one in answers} <= {"half", "gift"}
    for one in answers:
        assert one["ranking"][0] == {"id": "none", "probability": 0}  # where the request has it
        assert sum(part["probability"] for part in one["ranking"]) == pytest.approx(1)
    assert {slate.context["$rank"]["default"] for slate in decisions(offers)} == {"half"}


def test_an_event_is_one_decision_however_often_it_is_sent(lane, offers):
    first = rank(lane, offers, eventId="e 1?")
    assert first["eventId"] == "e 1?"
    assert [rank(lane, offers, eventId="e 1?") for _ in range(3)] == [first] * 3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: rank(lane, offers, eventId="e2"), range(8)))
    assert answers == [answers[0]] * 8
    assert decisions(offers).count() == 2
    others = {rank(lane, offers, eventId=f"o{n}")["rewardActionId"] for n in range(25)}
    assert others == {"none", "half", "gift"}  # an event's coins are its own


def test_an_event_stays_its_decision_when_the_policy_changes(lane, offers):
    first = rank(lane, offers, eventId="e1", excludedActions=["gift"])
    Surface.objects.filter(pk=offers.surface.pk).update(rank={"explore": 0.0, "control_share": 0.1})
    lane.refresh()
    again = rank(lane, offers, eventId="e1", excludedActions=["gift"])
    assert again["rewardActionId"] == first["rewardActionId"]
    assert again["ranking"][0] == first["ranking"][0]
    other = {"actions": [{"id": "else", "features": [{"price": 1}]}], "eventId": "e1"}
    refused = call(lane, offers, RANK, other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")
    assert "must be used once" in refused.json()["error"]["message"]
    assert decisions(offers).count() == 1


@pytest.mark.parametrize("event_id", [None, "my event"])
def test_the_first_reward_of_an_event_counts(lane, offers, event_id):
    answer = rank(lane, offers, eventId=event_id)
    for value in (0.5, 1.0):
        done = event(lane, offers, answer["eventId"], "reward", {"value": value})
        assert (done.status_code, done.content) == (204, b"")
    stored = Event.objects.get(project=offers.project, name="reward")
    assert (stored.value, stored.recommendation_id) == (0.5, decisions(offers).get().recommendation_id)


def test_rewards_are_refused_unknown_late_and_out_of_range(lane, offers):
    answer, other = rank(lane, offers), builders.make_shop()
    lane.refresh()

    def refusal(event_id, body, shop=offers):
        done = event(lane, shop, event_id, "reward", body)
        return done.status_code, done.json()["error"]

    status, error = refusal("never", {"value": 1})
    assert (status, error["code"]) == (404, "ResourceNotFound")
    assert "eventId == 'never', no event of this project" in error["message"]
    assert refusal(answer["eventId"], {"value": 1}, other)[0] == 404
    status, error = refusal(answer["eventId"], {"value": 2})
    assert (status, error["code"]) == (400, "InvalidRewardRequest")
    assert error["message"] == "value == 2.0, must be a number in [0, 1] on 'offers'."
    assert refusal(answer["eventId"], {})[0] == 400
    decisions(offers).update(served_at=builders.now() - timedelta(seconds=700))
    status, error = refusal(answer["eventId"], {"value": 1})
    assert (status, error["code"]) == (409, "InvalidRewardRequest")
    assert "the reward came" in error["message"]
    assert not Event.objects.filter(project=offers.project, name="reward").exists()


def test_a_deferred_event_counts_from_its_activation_on(lane, offers):
    first = rank(lane, offers, eventId="later", deferActivation=True)
    assert rank(lane, offers, eventId="later", deferActivation=True) == first
    assert not decisions(offers).exists()
    early = event(lane, offers, "later", "reward", {"value": 1})
    assert (early.status_code, early.json()["error"]["code"]) == (409, "InvalidRewardRequest")
    assert "must be activated before its reward" in early.json()["error"]["message"]
    for _ in range(2):
        assert event(lane, offers, "later", "activate").status_code == 204
    slate = decisions(offers).get()
    assert slate.slots[0][0] == first["rewardActionId"]
    assert event(lane, offers, "later", "reward", {"value": 1}).status_code == 204
    assert Event.objects.filter(project=offers.project, name="reward").count() == 1


def test_activation_of_what_counts_changes_nothing_and_of_what_is_unknown_is_refused(lane, offers):
    counts = rank(lane, offers)
    assert event(lane, offers, counts["eventId"], "activate").status_code == 204
    assert decisions(offers).count() == 1
    refused = event(lane, offers, "never", "activate")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_a_deferred_event_is_refused_while_it_cannot_be_held(offers, outage):
    outage.lane.refresh()
    outage.redis.cut()
    body = {"actions": ACTIONS, "eventId": "e1"}
    refused = call(outage.lane, offers, RANK, body | {"deferActivation": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "InternalServerError")
    assert call(outage.lane, offers, RANK, body).status_code == 201  # what is committed needs no cache
    assert decisions(offers).count() == 1


def test_the_surface_is_the_one_there_is_or_the_one_of_that_name(lane, shop):
    body = {"actions": ACTIONS}
    lane.refresh()
    none = call(lane, shop, RANK, body)
    assert none.status_code == 400
    assert "has none, must have one surface of kind 'rank'" in none.json()["error"]["message"]
    make_rank_surface(shop.project, key="offers")
    make_rank_surface(shop.project, key="banners")
    lane.refresh()
    message = call(lane, shop, RANK, body).json()["error"]["message"]
    assert "has 2 of them ('banners', 'offers'), must have one" in message
    shop.surface = make_rank_surface(shop.project, key="personalizer")
    lane.refresh()
    assert call(lane, shop, RANK, body).status_code == 201
    assert decisions(shop).count() == 1


def test_who_has_no_key_or_the_wrong_method_is_refused_in_the_services_shape(lane, offers):
    for path, method, key, status, code in [
        (RANK, "POST", "pk_nobody", 401, "401"),
        (RANK, "GET", offers.public, 405, "MethodNotAllowed"),
        ("/personalizer/v1.0/events/e1/reward", "PUT", offers.public, 405, "MethodNotAllowed"),
        ("/personalizer/v1.0/events/e1/activate", "POST", "", 401, "401"),
    ]:
        answer = lane.client.request(method, path, json={}, headers={KEY: key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path
        assert answer.json()["error"].keys() == {"code", "message"}
    assert call(lane, offers, f"{RANK}/", {"actions": ACTIONS}).status_code == 201


def test_no_exposure_is_recorded_without_an_experiment(lane, offers):
    rank(lane, offers)
    assert not Exposure.objects.filter(project=offers.project).exists()
