"""Segment's envelope, as its clients send it; the clients themselves are in tests/faults."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from experiments.assignment import hashed_variant
from experiments.models import Event, Exposure, Link


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


def send(lane, shop, *messages, path="/v1/batch", key="", **envelope):
    body = {"batch": list(messages), **envelope} if path == "/v1/batch" else messages[0] | envelope
    return lane.client.post(path, json=body, headers=basic(key or shop.public))


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
    rule = lane.gateway._config.current.flags[shop.project.pk].rules[experiment.key]
    variant = hashed_variant(rule, "u1")
    viewed = message(
        event="Experiment Viewed",
        properties={"experiment_id": experiment.key, "variation_id": variant},
    )
    unknown = message(
        event="Experiment Viewed", properties={"experiment_id": "other", "variation_id": "treatment"}
    )
    # With a public key it would have to be the variant that the rule gives.
    answer = send(lane, shop, viewed, unknown, key=shop.secret)
    assert answer.json()["rejected"][0]["code"] == "unknown_experiment"
    exposure = Exposure.objects.get(project=shop.project)
    assert (exposure.unit_id, exposure.variant.key) == ("u1", variant)


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


@pytest.mark.parametrize(
    ("fields", "field", "column"),
    [
        ({"properties": {"value": "dark"}}, "value", "value"),
        ({"properties": {"value": True}}, "value", "value"),
        ({"properties": {"value": ""}}, "value", "value"),
        ({"properties": {"value": "$19.99"}}, "value", "value"),
        ({"properties": {"value": "1_000"}}, "value", "value"),
        ({"properties": {"revenue": 1e16}}, "revenue", "value"),
        ({"properties": {"item_id": ["a", "b"]}}, "item_id", "item_id"),
        ({"properties": {"product_id": "x" * 201}}, "product_id", "item_id"),
        ({"properties": {"recommendation_id": "theirs"}}, "recommendation_id", "recommendation_id"),
        ({"properties": {"recommendation_id": 7}}, "recommendation_id", "recommendation_id"),
    ],
)
def test_what_does_not_fit_is_left_out_and_named(lane, shop, fields, field, column):
    answer = send(lane, shop, message(messageId="before"), message(**fields)).json()
    assert (answer["accepted"], answer["rejected"]) == (2, [])
    (warning,) = answer["warnings"]
    assert (warning["index"], warning["field"], warning["code"]) == (1, field, "left_out")
    assert f"{field} == " in warning["message"]
    stored = Event.objects.get(project=shop.project, event_id="m1")
    assert getattr(stored, column) is None
    assert stored.properties == fields["properties"]


def test_a_value_that_fits_beside_one_that_does_not_counts(lane, shop):
    answer = send(lane, shop, message(properties={"value": "dark", "revenue": "9.5"})).json()
    assert "warnings" not in answer
    assert Event.objects.get(project=shop.project).value == 9.5


@pytest.mark.parametrize("fields", [{"properties": "none"}, {"properties": [1]}, {"context": "none"}])
def test_an_object_that_is_none_is_left_out(lane, shop, fields):
    answer = send(lane, shop, message(**fields)).json()
    assert answer["accepted"] == 1
    assert answer["warnings"][0]["field"] in fields


@pytest.mark.parametrize(("user", "unit"), [(42, "42"), (42.0, "42"), ("u", "u")])
def test_ids_may_be_numbers(lane, shop, user, unit):
    assert send(lane, shop, message(userId=user, messageId=7)).json()["accepted"] == 1
    stored = Event.objects.get(project=shop.project)
    assert (stored.unit_id, stored.event_id) == (unit, "7")


@pytest.mark.parametrize("sent", ["yesterday", 1700000000, {}, "9999-99-99"])
def test_a_bad_sent_at_is_not_read(lane, shop, sent):
    answer = send(lane, shop, message(), sentAt=sent).json()
    assert answer["accepted"] == 1
    assert [(w["index"], w["field"]) for w in answer["warnings"]] == [(None, "sentAt")]


@pytest.mark.parametrize(
    ("timestamp", "sent"),
    [
        ("1970-01-01T00:00:10Z", None),  # a clock that was never set
        ("1970-01-01T00:00:10Z", "1970-01-01T00:00:20Z"),  # corrected, as any clock
        (None, "1970-01-01T00:00:20Z"),  # the sender's clock was set in between
        ("soon", None),
        (1700000000, None),
    ],
)
def test_a_clock_that_makes_no_sense_keeps_the_event(lane, shop, timestamp, sent):
    body = message() | ({"timestamp": timestamp} if timestamp is not None else {})
    answer = send(lane, shop, body, **({"sentAt": sent} if sent else {})).json()
    assert (answer["accepted"], answer["rejected"]) == (1, [])
    stored = Event.objects.get(project=shop.project)
    assert abs((stored.occurred_at - datetime.now(UTC)).total_seconds()) < 120


def test_warnings_of_what_is_refused_are_not_given_beside_it(lane, shop):
    body = message(event="", properties={"value": "dark"})
    answer = send(lane, shop, body).json()
    assert [row["code"] for row in answer["rejected"]] == ["invalid_value"]
    assert "warnings" not in answer
