from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.actions.mark_units import history_of
from experiments.models import Event, Feedback
from inference.cache import cache_client
from inference.serving.keys import active_key
from tests.support import builders

PATHS = [
    "recommend",
    "compare",
    "events",
    "feedback",
    "batch",
    "track",
    "page",
    "screen",
    "identify",
    "alias",
]


def event(**fields):
    return {"event_id": "e1", "name": "click", "unit_id": "u1", "item_id": "i1", **fields}


def recommend(lane, shop, unit="u1"):
    return lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public).json()


def test_an_event_is_committed_before_the_answer(lane, shop):
    answer = lane.post("/v1/events", event(value=2.5, properties={"page": "home"}), shop.public)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": [], "durability": "committed"}
    stored = Event.objects.get(project=shop.project)
    assert (stored.value, stored.properties, stored.source) == (2.5, {"page": "home"}, "live")
    assert stored.item_known


def test_a_retry_counts_once(lane, shop, rows):
    for expected in (0, 1, 1):
        data = lane.post("/v1/events", event(), shop.public).json()
        assert data["duplicates"] == expected
    assert rows("event", shop.project) == 1


def test_one_id_twice_in_a_request_counts_once(lane, shop, rows):
    data = lane.post("/v1/events", {"events": [event(), event()]}, shop.public).json()
    assert (data["accepted"], data["duplicates"]) == (1, 1)
    assert rows("event", shop.project) == 1


def test_the_same_id_in_another_project_is_another_event(lane, shop, rows):
    other = builders.make_shop()
    lane.refresh()
    for owner in (shop, other):
        assert lane.post("/v1/events", event(), owner.public).json()["accepted"] == 1


def test_good_rows_are_kept_when_others_are_bad(lane, shop, rows):
    old = (datetime.now(UTC) - timedelta(days=31)).isoformat()
    events = [event(), event(event_id="e2", name=""), event(event_id="e3", occurred_at=old), 7]
    data = lane.post("/v1/events", {"events": events}, shop.public).json()
    assert data["accepted"] == 1
    assert [(r["index"], r["code"]) for r in data["rejected"]] == [
        (1, "invalid_value"), (2, "occurred_at_out_of_range"), (3, "invalid_value"),
    ]  # fmt: skip
    assert rows("event", shop.project) == 1


def test_an_unknown_item_is_kept_and_marked(lane, shop):
    lane.post("/v1/events", event(item_id="brand-new"), shop.public)
    assert not Event.objects.get(project=shop.project).item_known


def test_a_click_changes_the_next_answer(lane, shop):
    first = recommend(lane, shop)["items"][0]["item_id"]
    lane.post("/v1/events", event(item_id=first), shop.public)
    assert first not in [item["item_id"] for item in recommend(lane, shop)["items"]]
    assert cache_client().sismember(active_key(history_of(shop.surface)), "u1")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": None}, "invalid_value"),
        ({"name": "n" * 101}, "invalid_value"),
        ({"unit_id": None}, "invalid_value"),
        ({"event_id": "e" * 201}, "invalid_value"),
        ({"value": "1"}, "invalid_value"),
        ({"value": True}, "invalid_value"),
        ({"value": 10**400}, "not_json"),
        ({"recommendation_id": "not-a-uuid"}, "invalid_value"),
        ({"occurred_at": "yesterday"}, "invalid_value"),
        ({"occurred_at": 1700000000}, "invalid_value"),
        ({"occurred_at": "9999-12-31T23:59:59+00:00"}, "occurred_at_out_of_range"),
        ({"properties": []}, "invalid_value"),
        ({"item_id": "a\0b"}, "nul_character"),
    ],
)
def test_a_single_bad_event_is_refused_with_its_reason(lane, shop, rows, fields, code):
    answer = lane.post("/v1/events", event(**fields), shop.public)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert rows("event", shop.project) == 0


@pytest.mark.parametrize("events", [[], "no list", None, [event()] * 1001])
def test_it_wants_a_list_of_1_to_1000(lane, shop, events):
    assert lane.post("/v1/events", {"events": events}, shop.public).status_code == 400


def test_feedback_is_bound_to_its_slate(lane, shop):
    slate = recommend(lane, shop)
    body = {
        "feedback_id": "f1",
        "recommendation_id": slate["recommendation_id"],
        "item_id": slate["items"][1]["item_id"],
        "unit_id": "u1",
        "kind": "rating",
        "value": 4,
    }
    assert lane.post("/v1/feedback", body, shop.public).json()["accepted"] == 1
    assert lane.post("/v1/feedback", body, shop.public).json()["duplicates"] == 1
    stored = Feedback.objects.get(project=shop.project)
    assert (stored.position, stored.propensity, stored.model_version) == (2, 1.0, shop.champion)


def test_a_thumb_needs_no_item(lane, shop):
    body = {"recommendation_id": recommend(lane, shop)["recommendation_id"], "unit_id": "u1"}
    answer = lane.post("/v1/feedback", {**body, "kind": "thumb", "value": -1}, shop.public)
    assert answer.status_code == 202
    assert Feedback.objects.get(project=shop.project).position is None


def test_feedback_on_another_projects_slate_is_not_found(lane, shop, rows):
    other = builders.make_shop()
    lane.refresh()
    body = {
        "recommendation_id": recommend(lane, other)["recommendation_id"],
        "unit_id": "u1",
        "kind": "thumb",
        "value": 1,
    }
    answer = lane.post("/v1/feedback", body, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_recommendation")
    assert rows("feedback", shop.project) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "shout"},
        {"kind": "thumb", "value": 0},
        {"kind": "rating", "value": 6},
        {"kind": "rating", "value": 2.5},
        {"kind": "rating", "value": None},
        {"recommendation_id": None},
        {"recommendation_id": "x"},
    ],
)
def test_feedback_out_of_range_is_refused(lane, shop, fields):
    body = {
        "recommendation_id": "0199a1b2-0000-7000-8000-000000000000",
        "unit_id": "u1",
        "kind": "rating",
        "value": 3,
        **fields,
    }
    assert lane.post("/v1/feedback", body, shop.public).status_code == 400


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=300), packed=st.booleans())
def test_no_bytes_break_the_fast_lane(lane, shop, rows, path, body, packed):
    headers = {"Authorization": f"Bearer {shop.public}"}
    if packed:
        headers["Content-Encoding"] = "gzip"
    answer = lane.client.post(f"/v1/{path}", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert rows("event", shop.project) == rows("slate", shop.project) == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
names = st.sampled_from(
    [
        "surface",
        "unit_id",
        "anonymous_id",
        "k",
        "context",
        "candidates",
        "exclude",
        "overrides",
        "events",
        "event_id",
        "name",
        "item_id",
        "recommendation_id",
        "value",
        "occurred_at",
        "properties",
        "feedback_id",
        "kind",
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(PATHS),
    body=st.dictionaries(names, json_values, max_size=8),
    valid=st.booleans(),
)
def test_no_object_breaks_the_fast_lane(lane, shop, path, body, valid):
    import json

    if valid:
        body = {"surface": "home-feed", "unit_id": "u", "name": "click", **body}
    try:
        content = json.dumps(body).encode()
    except (ValueError, UnicodeEncodeError):
        return
    headers = {"Authorization": f"Bearer {shop.public}"}
    answer = lane.client.post(f"/v1/{path}", content=content, headers=headers)
    assert answer.status_code < 500
    assert "Traceback" not in answer.text
