"""Segment's envelope, as its clients send it; the clients themselves are in tests/faults."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from experiments.models import Event, Exposure, Link

NOW = datetime.now(UTC)


def basic(key: str) -> dict:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def message(kind="track", **fields):
    return {
        "type": kind,
        "messageId": "m1",
        "userId": "u1",
        "event": "Product Viewed",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"product_id": 17, "revenue": "9.5", "page": "home"},
        **fields,
    }


def send(lane, shop, *messages, path="/v1/batch", **envelope):
    body = {"batch": list(messages), **envelope} if path == "/v1/batch" else messages[0] | envelope
    return lane.client.post(path, json=body, headers=basic(shop.public))


def test_a_batch_is_kept_and_answered_with_200(lane, shop):
    answer = send(lane, shop, message(), message(messageId="m2"), message())
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True, "accepted": 2, "duplicates": 1, "rejected": [], "durability": "committed",
    }  # fmt: skip
    stored = Event.objects.get(project=shop.project, event_id="m1")
    assert (stored.name, stored.unit_id, stored.item_id, stored.value) == (
        "Product Viewed", "u1", "17", 9.5,
    )  # fmt: skip
    assert stored.properties["page"] == "home"


@pytest.mark.parametrize(("path", "name"), [("/v1/track", "Product Viewed"), ("/v1/page", "page"), ("/v1/screen", "screen")])  # fmt: skip
def test_single_messages_say_their_type_in_the_path(lane, shop, path, name):
    body = message(name="Start")
    del body["type"]
    assert send(lane, shop, body, path=path).status_code == 200
    stored = Event.objects.get(project=shop.project)
    assert stored.name == name
    assert stored.properties.get("name") == (None if name == "Product Viewed" else "Start")


def test_a_clock_that_is_off_is_corrected_by_sent_at(lane, shop):
    ahead = timedelta(hours=3)
    happened = datetime.now(UTC) - timedelta(minutes=10)
    sent = datetime.now(UTC) + ahead
    answer = send(
        lane, shop, message(timestamp=(happened + ahead).isoformat()), sentAt=sent.isoformat()
    )
    assert answer.json()["accepted"] == 1
    stored = Event.objects.get(project=shop.project)
    assert abs((stored.occurred_at - happened).total_seconds()) < 5
    assert stored.claimed_at == happened + ahead


def test_without_sent_at_such_a_clock_is_refused(lane, shop, rows):
    body = message(timestamp=(datetime.now(UTC) + timedelta(hours=3)).isoformat())
    answer = send(lane, shop, body)
    assert answer.json()["rejected"][0]["code"] == "occurred_at_out_of_range"
    assert rows("event", shop.project) == 0


def test_identify_links_and_what_we_do_not_keep_is_named(lane, shop, rows):
    answer = send(
        lane,
        shop,
        {"type": "identify", "anonymousId": "a1", "userId": "u1", "traits": {"email": "a@b.de"}},
        {"type": "group", "userId": "u1", "groupId": "g"},
        "nonsense",
    )
    assert answer.json()["accepted"] == 1
    assert [row["code"] for row in answer.json()["rejected"]] == ["unsupported_type", "invalid_value"]
    assert Link.objects.get(project=shop.project).unit_id == "u1"
    assert rows("event", shop.project) == 0


def test_experiment_viewed_is_an_exposure(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    viewed = message(
        event="Experiment Viewed",
        properties={"experiment_id": experiment.key, "variation_id": "treatment"},
    )
    unknown = message(
        event="Experiment Viewed", properties={"experiment_id": "other", "variation_id": "treatment"}
    )
    answer = send(lane, shop, viewed, unknown)
    assert answer.json()["rejected"][0]["code"] == "unknown_experiment"
    met = Exposure.objects.get(project=shop.project)
    assert (met.unit_id, met.variant.key) == ("u1", "treatment")


def test_consent_of_the_envelope_is_honoured(lane, shop):
    def under(**categories):
        return {"consent": {"categoryPreferences": categories}}

    answer = send(
        lane,
        shop,
        message(messageId="no", context=under(Analytics=False)),
        message(messageId="yes", context=under(Analytics=True, Training=False)),
    )
    assert [row["code"] for row in answer.json()["rejected"]] == ["no_consent"]
    stored = Event.objects.get(project=shop.project)
    assert (stored.event_id, stored.trainable) == ("yes", False)


def test_gzip_and_its_refusals(lane, shop, rows):
    headers = basic(shop.public) | {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    def post(content: bytes, **changed):
        return lane.client.post("/v1/batch", content=content, headers=headers | changed)

    packed = gzip.compress(json.dumps({"batch": [message()]}).encode())
    assert post(packed).json()["accepted"] == 1
    for content, status, code in (
        (packed[:40], 400, "not_gzip"),
        (b"{}", 400, "not_gzip"),
        (gzip.compress(b" " * 5_000_000), 413, "body_too_large"),
    ):
        answer = post(content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert post(packed, **{"Content-Encoding": "br"}).status_code == 415
    assert rows("event", shop.project) == 1


@pytest.mark.parametrize("body", [{}, {"batch": []}, {"batch": "x"}, {"batch": [message()] * 1001}])
def test_an_envelope_wants_1_to_1000_messages(lane, shop, body):
    assert lane.client.post("/v1/batch", json=body, headers=basic(shop.public)).status_code == 400
