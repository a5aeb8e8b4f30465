"""Consent, crawlers and conversions that name no recommendation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from experiments.models import Event, ExcludedUnit, Slate
from tests.support import builders

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PERSON = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
)


def event(**fields):
    return {"event_id": "e1", "name": "click", "unit_id": "u1", "item_id": "i1", **fields}


def post(lane, shop, path, body, key=None, **headers):
    headers = {"Authorization": f"Bearer {key or shop.public}", **headers}
    return lane.client.post(path, json=body, headers=headers)


def test_a_crawler_is_answered_and_is_no_visitor(lane, shop, rows):
    shop.run_experiment()
    lane.refresh()
    bot = {"User-Agent": BOT}
    ask = {"surface": "home-feed", "unit_id": "u1"}
    both = {"surface": "home-feed", "unit_id": "u2", "anonymous_id": "a2"}
    for body in (ask, both):
        answer = post(lane, shop, "/v1/recommend", body, **bot).json()
        assert answer["variant"] in {"control", "treatment"}
    assert post(lane, shop, "/v1/events", event(), **bot).json()["accepted"] == 1
    link = {"userId": "u1", "anonymousId": "a1"}
    assert post(lane, shop, "/v1/identify", link, **bot).json()["rejected"][0]["code"] == "crawler"
    assert [rows(table, shop.project) for table in ("slate", "event")] == [2, 1]
    assert [rows(table, shop.project) for table in ("exposure", "link")] == [0, 0]
    assert not Event.objects.get(project=shop.project).trainable
    assert not Slate.objects.filter(project=shop.project, trainable=True).exists()


def test_a_crawlers_user_agent_with_a_public_key_leaves_nobody_out(lane, shop, rows):
    for unit in ("u1", "never seen"):
        post(lane, shop, "/v1/events", event(unit_id=unit), **{"User-Agent": BOT})
    assert not ExcludedUnit.objects.filter(project=shop.project).exists()
    post(lane, shop, "/v1/events", event(), **{"User-Agent": PERSON})
    assert rows("event", shop.project) == 1


def test_a_person_a_server_and_a_library_are_not_crawlers(lane, shop):
    post(lane, shop, "/v1/events", event(), **{"User-Agent": PERSON})
    post(lane, shop, "/v1/events", event(), key=shop.secret, **{"User-Agent": BOT})
    post(lane, shop, "/v1/events", event(), **{"User-Agent": "python-requests/2.32"})
    assert not ExcludedUnit.objects.filter(project=shop.project).exists()


def test_a_server_may_say_the_visitors_user_agent(lane, shop):
    post(lane, shop, "/v1/events", event(user_agent=BOT), key=shop.secret)
    ask = {"surface": "home-feed", "unit_id": "u2", "context": {"user_agent": BOT}}
    post(lane, shop, "/v1/recommend", ask, key=shop.secret)
    assert ExcludedUnit.objects.filter(project=shop.project).count() == 2


def test_global_privacy_control_keeps_the_fact_from_training(lane, shop):
    gpc = {"Sec-GPC": "1"}
    post(lane, shop, "/v1/events", event(), **gpc)
    post(lane, shop, "/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, **gpc)
    assert not Event.objects.get(project=shop.project).trainable
    assert not Slate.objects.get(project=shop.project).trainable


def test_consent_of_a_batch_holds_for_its_events_unless_they_say_otherwise(lane, shop):
    events = [event(), event(event_id="e2", consent={"analytics": True, "training": True})]
    body = {"events": events, "consent": {"analytics": False}}
    answer = post(lane, shop, "/v1/events", body)
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["code"] == "no_consent"
    assert Event.objects.get(project=shop.project).event_id == "e2"


def test_a_single_event_without_consent_is_no_error_and_not_kept(lane, shop, rows):
    answer = post(lane, shop, "/v1/events", event(consent={"analytics": False}))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
    assert rows("event", shop.project) == 0


@pytest.mark.parametrize("consent", ["yes", {"training": "no"}, [True]])
def test_consent_is_an_object_of_booleans(lane, shop, consent):
    assert post(lane, shop, "/v1/events", event(consent=consent)).status_code == 400


def conversion(**fields):
    return event(name="conversion", **fields)


def test_a_conversion_is_credited_to_the_last_slate_that_held_the_item(lane, shop):
    minutes = lambda n: (datetime.now(UTC) - timedelta(minutes=n)).isoformat()  # noqa: E731
    builders.make_slate(shop, "u1", ("i1", "i2"), served_at=minutes(30))
    last = builders.make_slate(shop, "u1", ("i3", "i1"), served_at=minutes(20))
    builders.make_slate(shop, "u1", ("i3", "i2"), served_at=minutes(10))
    builders.make_slate(shop, "u2", ("i1",), served_at=minutes(5))
    post(lane, shop, "/v1/events", conversion())
    stored = Event.objects.get(project=shop.project)
    assert (str(stored.recommendation_id), stored.inferred) == (last, True)


@pytest.mark.parametrize(
    ("fields", "days"),
    [({}, 8), ({"item_id": "i9"}, 0), ({"name": "click"}, 0), ({"unit_id": "u2"}, 0), ({"item_id": None}, 0)],
)  # fmt: skip
def test_nothing_is_credited_out_of_the_window_or_for_another(lane, shop, fields, days):
    at = datetime.now(UTC) - timedelta(days=days, minutes=1)
    builders.make_slate(shop, "u1", served_at=at.isoformat())
    post(lane, shop, "/v1/events", conversion() | fields)
    stored = Event.objects.get(project=shop.project)
    assert (stored.recommendation_id, stored.inferred) == (None, False)


def test_a_named_recommendation_stays_and_a_slate_after_the_event_earns_nothing(lane, shop):
    recommendation = builders.make_slate(shop, "u1", ("i5",))
    past = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    body = {"events": [conversion(recommendation_id=recommendation), conversion(event_id="e2", item_id="i5", occurred_at=past)]}  # fmt: skip
    post(lane, shop, "/v1/events", body)
    stored = {e.event_id: e for e in Event.objects.filter(project=shop.project)}
    assert (str(stored["e1"].recommendation_id), stored["e1"].inferred) == (recommendation, False)
    assert stored["e2"].recommendation_id is None


def test_a_recommendation_without_consent_is_answered_and_not_recorded(lane, shop, rows):
    shop.run_experiment()
    lane.refresh()
    ask = {"surface": "home-feed", "unit_id": "u1", "consent": {"analytics": False}}
    answer = post(lane, shop, "/v1/recommend", ask)
    assert (answer.status_code, answer.json()["recorded"]) == (200, False)
    assert post(lane, shop, "/v1/compare", ask).json()["error"]["code"] == "no_consent"
    assert (rows("slate", shop.project), rows("exposure", shop.project)) == (0, 0)
