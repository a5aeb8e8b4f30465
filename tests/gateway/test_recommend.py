from __future__ import annotations

import time

import pytest
from django.db import connection

from experiments.actions.mark_units import history_of
from experiments.models import Exposure, Slate
from inference.cache import cache_client
from inference.serving.keys import candidates_key, recent_key
from tests.support import builders


def ask(lane, shop, **body):
    return lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1", **body}, shop.public)


def test_it_ranks_by_the_champion_and_commits_the_slate(lane, shop):
    answer = ask(lane, shop, k=3, context={"country": "DE"})
    assert answer.status_code == 200
    data = answer.json()
    assert [item["item_id"] for item in data["items"]] == ["i0", "i1", "i2"]
    assert [item["position"] for item in data["items"]] == [1, 2, 3]
    assert data["items"][0]["title"] == "Item i0"
    assert data["model"] == "popularity@1"
    assert (data["reason"], data["fallback"], data["experiment"]) == ("DEFAULT", "default_list", None)
    slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
    assert slate.slots[0] == ["i0", data["items"][0]["score"], 1, 1.0, False]
    assert (slate.project, slate.model_version, slate.context) == (
        shop.project, shop.champion, {"country": "DE"},
    )  # fmt: skip


def test_it_answers_an_anonymous_visitor(lane, shop):
    body = {"surface": "home-feed", "anonymous_id": "a1"}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert Slate.objects.get(recommendation_id=answer.json()["recommendation_id"]).unit_id == "a1"


def test_precomputed_candidates_are_no_fallback(lane, shop):
    import numpy as np

    cache_client().set(
        candidates_key(shop.champion.pk, "u1"), np.array([7, 8], dtype=np.int32).tobytes()
    )
    data = ask(lane, shop).json()
    assert [item["item_id"] for item in data["items"]] == ["i7", "i8"]
    assert data["fallback"] is None


def test_it_leaves_out_what_is_excluded_and_what_was_liked_lately(lane, shop):
    cache_client().lpush(recent_key(history_of(shop.surface), "u1"), "i1")
    items = [item["item_id"] for item in ask(lane, shop, k=2, exclude=["i0"]).json()["items"]]
    assert items == ["i2", "i3"]


def test_it_ranks_just_the_named_candidates(lane, shop):
    """What the version does not know comes last, without a score: nothing is dropped."""
    data = ask(lane, shop, candidates=["i5", "i3", "nobody-knows"]).json()
    assert [item["item_id"] for item in data["items"]] == ["i3", "i5", "nobody-knows"]
    assert data["items"][2]["score"] is None


def test_a_candidate_that_is_named_twice_is_shown_once(lane, shop):
    data = ask(lane, shop, candidates=["i3", "i1", "i3", "new", "new"]).json()
    assert [item["item_id"] for item in data["items"]] == ["i1", "i3", "new"]


def test_an_experiment_splits_units_and_records_one_exposure(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    models = {}
    for n in range(40):
        body = {"surface": "home-feed", "unit_id": f"u{n}", "k": 1}
        for _ in range(2):
            data = lane.post("/v1/recommend", body, shop.public).json()
            models.setdefault(data["variant"], set()).add((data["model"], data["items"][0]["item_id"]))
        assert data["reason"] == "SPLIT"
        assert data["experiment"] == experiment.key
    assert models == {"control": {("popularity@1", "i0")}, "treatment": {("popularity@2", "i9")}}
    assert Exposure.objects.filter(experiment=experiment).count() == 40


def test_a_forced_variant_is_logged_and_left_out(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "qa", "overrides": {experiment.key: "treatment"}}
    data = lane.post("/v1/recommend", body, shop.secret).json()
    assert data["variant"] == "treatment"
    assert Slate.objects.get(recommendation_id=data["recommendation_id"]).forced
    assert not Exposure.objects.filter(experiment=experiment).exists()


def test_a_public_key_may_not_force(lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    answer = ask(lane, shop, overrides={experiment.key: "treatment"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "secret_key_needed")


def test_a_surface_without_champion_serves_its_static_list(lane, shop):
    shop.surface.versions.champions().delete()
    lane.refresh()
    data = ask(lane, shop).json()
    assert (data["fallback"], data["model"]) == ("no_champion", None)
    assert [item["item_id"] for item in data["items"]] == ["i7", "i8", "i9"]


def test_a_damaged_artifact_falls_back(lane, shop):
    from django.conf import settings

    version = builders.make_version(shop.surface, [5] * 10, alias="candidate")
    path = settings.BAKEOFF.artifacts / version.artifact_sha256 / "bias.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    shop.surface.versions.champions().update(alias="retired")
    version.alias = "champion"
    version.save()
    lane.refresh()
    data = ask(lane, shop).json()
    assert data["fallback"] == "model_unavailable"
    assert [item["item_id"] for item in data["items"]] == ["i7", "i8", "i9"]


def test_exploration_logs_its_propensities(lane, shop):
    shop.surface.exploration = 1.0
    shop.surface.save()
    lane.refresh()
    explored = 0
    for _ in range(20):
        data = ask(lane, shop, k=5).json()
        slots = Slate.objects.get(recommendation_id=data["recommendation_id"]).slots
        assert all(0 < slot[3] <= 1 for slot in slots)
        explored += sum(slot[4] for slot in slots)
    assert explored > 0


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"unit_id": "u"}, "invalid_value", "surface"),
        ({"surface": "home-feed"}, "invalid_value", "unit_id"),
        ({"surface": "home-feed", "unit_id": ""}, "invalid_value", "unit_id"),
        ({"surface": "home-feed", "unit_id": "u" * 201}, "invalid_value", "unit_id"),
        ({"surface": "home-feed", "unit_id": 7}, "invalid_value", "unit_id"),
        ({"surface": "home-feed", "unit_id": "u", "k": 0}, "invalid_value", "k"),
        ({"surface": "home-feed", "unit_id": "u", "k": 101}, "invalid_value", "k"),
        ({"surface": "home-feed", "unit_id": "u", "k": True}, "invalid_value", "k"),
        ({"surface": "home-feed", "unit_id": "u", "k": "3"}, "invalid_value", "k"),
        ({"surface": "home-feed", "unit_id": "u", "exclude": [1]}, "invalid_value", "exclude"),
        ({"surface": "home-feed", "unit_id": "u", "candidates": "i1"}, "invalid_value", "candidates"),
        ({"surface": "home-feed", "unit_id": "u", "context": []}, "invalid_value", "context"),
        ({"surface": "home-feed", "unit_id": "u", "context": {"a": "b" * 9000}}, "invalid_value", "context"),
        ({"surface": "home-feed", "unit_id": "u\0"}, "nul_character", "unit_id"),
    ],
)  # fmt: skip
def test_it_names_the_value_and_the_rule(lane, shop, rows, body, code, field):
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert "must" in error["message"]
    assert rows("slate", shop.project) == 0


def test_it_suggests_the_surface_that_was_meant(lane, shop):
    answer = lane.post("/v1/recommend", {"surface": "home-fed", "unit_id": "u"}, shop.public)
    assert answer.status_code == 404
    assert "Did you mean 'home-feed'?" in answer.json()["error"]["message"]


def test_it_does_not_know_another_projects_surface(lane, shop):
    other = builders.make_shop()
    other.surface.key = "their-feed"
    other.surface.save()
    lane.refresh()
    answer = lane.post("/v1/recommend", {"surface": "their-feed", "unit_id": "u"}, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_surface")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[1]", b'"text"', b"\xed\xa0\x80"]
)
def test_it_refuses_what_is_no_json_object(lane, shop, content):
    headers = {"Authorization": f"Bearer {shop.public}"}
    answer = lane.client.post("/v1/recommend", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {"not_json", "not_an_object"}


def test_it_refuses_a_body_of_two_mebibytes(lane, shop):
    headers = {"Authorization": f"Bearer {shop.public}"}
    answer = lane.client.post("/v1/recommend", content=b" " * 2**21, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_it_refuses_another_media_type(lane, shop):
    headers = {"Authorization": f"Bearer {shop.public}", "Content-Type": "text/csv"}
    answer = lane.client.post("/v1/recommend", content=b"a,b", headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_it_refuses_another_method(lane, shop, method):
    assert lane.client.request(method, "/v1/recommend").status_code == 405


def test_it_wants_a_key(lane, shop):
    answer = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_valid_key")
    wrong = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u"}, "pk_wrong")
    assert wrong.status_code == 401


def test_it_takes_a_key_in_every_promised_way(lane, shop):
    body = {"surface": "home-feed", "unit_id": "u"}
    ways = [
        {"headers": {"X-API-Key": shop.public}},
        {"auth": (shop.public, "")},
        {"params": {"key": shop.public}},
    ]
    for way in ways:
        assert lane.client.post("/v1/recommend", json=body, **way).status_code == 200
    address = lane.client.post("/v1/recommend", json=body, params={"key": shop.secret})
    assert address.status_code == 401


def test_a_revoked_key_is_refused(lane, shop):
    shop.project.api_keys.get(kind="pk").revoke()
    lane.refresh()
    assert ask(lane, shop).status_code == 401


def test_an_origin_that_is_not_allowed_is_refused(lane, shop):
    shop.project.api_keys.filter(kind="pk").update(allowed_origins=["https://shop.example"])
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u"}
    headers = {"Authorization": f"Bearer {shop.public}", "Origin": "https://evil.example"}
    assert lane.client.post("/v1/recommend", json=body, headers=headers).status_code == 403
    headers["Origin"] = "https://shop.example"
    allowed = lane.client.post("/v1/recommend", json=body, headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_browser_may_ask_first(lane):
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = lane.client.options("/v1/recommend", headers=headers)
    assert answer.status_code == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_a_change_reaches_serving_by_announcement(lane, shop):
    from inference.serving.changes import announce_change

    shop.surface.versions.champions().update(alias="retired")
    announce_change(cache_client())
    deadline = time.monotonic() + 5
    while ask(lane, shop).json()["fallback"] != "no_champion":
        assert time.monotonic() < deadline
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_health_and_readiness(lane):
    assert lane.client.get("/healthz").json() == {"status": "ok"}
    ready = lane.client.get("/readyz")
    assert ready.status_code == 200
    checks = ready.json()
    assert all(
        checks[name] for name in ("ready", "configuration", "postgres", "redis", "spill", "work")
    )
    names = {task["name"] for task in checks["tasks"] if task["alive"]}
    assert {"writer", "configuration", "announcements", "heartbeat"} <= names
    assert lane.client.head("/readyz").status_code == lane.client.head("/healthz").status_code == 200
