"""Surfaces are changed field by field; a whole says what it would reset; each change is in the trail."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.cli import main
from inference.models import Surface
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.html import has


@pytest.fixture
def call(lane, shop):
    def call(method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return call


def entries(shop):
    rows = AuditEntry.objects.filter(project=shop.project, action__endswith="surface")
    return [(entry.action, entry.subject, entry.detail) for entry in rows.order_by("id")]


@pytest.fixture
def configured(shop):
    """A live surface as its owner left it."""
    Surface.objects.filter(pk=shop.surface.pk).update(
        liked_events=["rating>=4"], retrain_algorithm="ease", exploration=0.5, policy={"alpha": 0.01}
    )
    shop.surface.refresh_from_db()
    return shop.surface


def test_a_patch_changes_what_it_names_and_nothing_else(call, shop, configured):
    answer = call("PATCH", "/surfaces/home-feed", {"exploration": 0.2})
    assert (answer.status_code, answer.json()["exploration"]) == (200, 0.2)
    after = Surface.objects.get(pk=configured.pk)
    for name in ("kind", "static_list", "liked_events", "retrain_algorithm", "policy"):
        assert getattr(after, name) == getattr(configured, name)
    assert entries(shop) == [("change surface", "home-feed", {"changed": {"exploration": [0.5, 0.2]}})]
    assert call("GET", "/surfaces/home-feed").json()["exploration"] == 0.2
    call("PATCH", "/surfaces/home-feed", {"exploration": 0.2})  # nothing changes: nothing to write
    assert len(entries(shop)) == 1


def test_a_row_beyond_the_bounds_of_requests_is_shown_and_put_right(call, configured):
    """As SQL, or a version with other bounds, left it."""
    beyond = {
        "retrain_every_seconds": 5, "candidates": 9000, "exploration": 20.0,
        "attribution_seconds": 10**9, "shadow_first": 2_000_000, "static_list": ["i1"] * 1001,
        "retrain_params": {"l2": -1.0},
    }  # fmt: skip
    Surface.objects.filter(pk=configured.pk).update(**beyond)
    shown = call("GET", "/surfaces/home-feed")
    assert (shown.status_code, {name: shown.json()[name] for name in beyond}) == (200, beyond)
    assert call("GET", "/surfaces").json()[0]["retrain_every_seconds"] == 5
    answer = call("PATCH", "/surfaces/home-feed", {"start_experiments": False})
    assert answer.status_code == 200
    assert call("PATCH", "/surfaces/home-feed", {"retrain_every_seconds": 5}).status_code == 400
    answer = call("PATCH", "/surfaces/home-feed", {"retrain_every_seconds": 60})
    assert answer.json()["retrain_every_seconds"] == 60
    answer = call("PATCH", "/surfaces/home-feed", {"retrain_params": {"l2": -2.0}})
    assert answer.status_code == 422
    assert "l2 == -2" in answer.text
    problem = "parameter l2 == -1, must be above 0 and at most 1,000,000,000."
    algorithms = call("GET", "/surfaces/home-feed/algorithms").json()
    assert {one["name"]: one["schedule_problem"] for one in algorithms if one["schedule_problem"]} == {
        "ease": problem
    }
    address = reverse("surface", args=[configured.project.slug, configured.key])
    page = sign_in(configured.project).get(address).content.decode()
    assert has(page, data_schedule_problem="")
    assert problem in page
    assert call("PATCH", "/surfaces/home-feed", {"retrain_params": {}}).status_code == 200
    algorithms = call("GET", "/surfaces/home-feed/algorithms").json()
    assert not any(one["schedule_problem"] for one in algorithms)
    assert not has(sign_in(configured.project).get(address).content.decode(), data_schedule_problem="")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"exploration": -1}, 400, "exploration"),
        ({"exploration": None}, 400, "exploration"),
        ({"explorations": 1}, 400, "explorations"),
        ({"key": "other"}, 400, "key"),
        ({"liked_events": ["rating>="]}, 422, "liked_events"),
        ({"retrain_algorithm": "oracle"}, 422, "retrain_algorithm"),
        ({"policy": {"alpah": 0.1}}, 422, "policy"),
        ({"labels": ["a"]}, 422, "labels"),
        ({"kind": "classify"}, 409, "kind"),
    ],
)
def test_a_patch_that_breaks_a_rule_changes_nothing(call, shop, body, status, field):
    refused = call("PATCH", "/surfaces/home-feed", {"shadow_share": 0.9, **body})
    assert (refused.status_code, refused.json()["error"]["field"]) == (status, field)
    assert Surface.objects.get(pk=shop.surface.pk).shadow_share == 0.1
    assert entries(shop) == []


def test_a_surface_of_another_project_is_not_found(lane, call):
    stranger = builders.make_shop()
    lane.refresh()
    call("PATCH", "/surfaces/home-feed", {"exploration": 1.5}, key=stranger.secret)
    assert Surface.objects.get(pk=stranger.surface.pk).exploration == 1.5
    assert call("PATCH", "/surfaces/nowhere", {"exploration": 1.0}).status_code == 404
    assert call("GET", "/surfaces/nowhere").status_code == 404
    assert call("PATCH", "/surfaces/home-feed", {}, key="pk_nobody").status_code == 401


def test_a_whole_lists_what_it_would_reset(call, shop, configured):
    refused = call("PUT", "/surfaces", {"key": "home-feed", "exploration": 0.1})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "would_reset")
    message = refused.json()["error"]["message"]
    assert "would reset static_list, liked_events, retrain_algorithm, policy:" in message
    after = Surface.objects.get(pk=configured.pk)
    assert (after.exploration, after.liked_events) == (0.5, ["rating>=4"])
    assert entries(shop) == []
    replaced = call("PUT", "/surfaces?replace=true", {"key": "home-feed", "exploration": 0.1})
    assert (replaced.status_code, replaced.json()["liked_events"]) == (200, [])
    ((action, _, detail),) = entries(shop)
    assert action == "change surface"
    assert detail["changed"]["liked_events"] == [["rating>=4"], []]
    assert "kind" not in detail["changed"]


def test_a_whole_that_names_every_field_needs_no_word(call, configured):
    whole = call("GET", "/surfaces/home-feed").json()
    for only_answered in ("champion", "retrain_recommender", "archived_at"):
        del whole[only_answered]
    assert call("PUT", "/surfaces", {**whole, "exploration": 0.3}).status_code == 200
    configured.refresh_from_db()
    assert (configured.exploration, configured.policy) == (0.3, {"alpha": 0.01})


def test_the_kind_of_a_surface_with_versions_stays(call, lane, shop):
    desk = Surface.objects.create(project=shop.project, key="desk", kind="classify")
    assert (
        call("PUT", "/surfaces", {"key": "desk"})
        .json()["error"]["message"]
        .startswith("surface 'desk' exists, and this would reset kind")
    )
    builders.make_version(desk, [1] * 10, algorithm="tfidf")
    for path in ("/surfaces", "/surfaces?replace=true"):
        assert call("PUT", path, {"key": "desk"}).status_code == 409
    refused = call("PUT", "/surfaces?replace=true", {"key": "desk", "kind": "recommend"})
    assert refused.json()["error"]["code"] == "kind_is_fixed"
    lane.refresh()
    answer = lane.post("/v1/classify", {"surface": "desk", "unit_id": "u", "text": "rain"}, shop.public)
    assert answer.status_code == 200


def test_pages_and_shell_write_the_trail_too(shop, tmp_path):
    client = Client()
    client.force_login(builders.make_root())
    form = {
        "static_list": '["i1"]', "labels": "[]", "liked_events": '["buy"]', "exploration": "0.25",
        "retrain_algorithm": "", "retrain_every_seconds": "86400", "shadow_first": "0",
        "start_experiments": "on",
    }  # fmt: skip
    page = f"/p/{shop.project.slug}/surfaces/home-feed/edit/"
    assert client.get(page).status_code == 200
    assert client.post(page, {**form, "liked_events": '["x>="]'}).status_code == 422
    assert client.post(page, form).status_code == 302
    created = client.post(
        f"/p/{shop.project.slug}/surfaces/", {**form, "key": "inbox", "kind": "recommend"}
    )
    assert created.status_code == 302
    file = tmp_path / "texts.csv"
    file.write_text("text,label\nrain,a\nsun,b\n")
    arguments = ["load", "labelled", str(file), "--surface", "desk", "--project", shop.project.slug]
    assert CliRunner().invoke(main, [*arguments, "--new"]).exit_code == 0
    assert [(action, subject) for action, subject, _ in entries(shop)] == [
        ("change surface", "home-feed"),
        ("make surface", "inbox"),
        ("make surface", "desk"),
    ]
    assert Surface.objects.get(pk=shop.surface.pk).credited_events == ["conversion"]


def test_the_first_surface_that_answers_brings_the_serving_metrics(call, shop):
    """Once, beside metrics of other meanings that have their keys; a flag brings none."""
    metrics = shop.project.metrics
    metrics.create(key="serving-cost", kind="mean", event="invoice")
    metrics.create(key="serving-cost-2", kind="mean", event="bill")
    assert call("PUT", "/surfaces", {"key": "switch", "kind": "flag"}).status_code < 300
    assert metrics.filter(event__startswith="slate").count() == 0
    for key in ("feed", "other"):
        assert call("PUT", "/surfaces", {"key": key, "kind": "recommend"}).status_code < 300
    brought = metrics.filter(event__startswith="slate.").order_by("key").values_list("key", flat=True)
    assert list(brought) == [
        "serving-cold-starts",
        "serving-cost-3",
        "serving-errors",
        "serving-fallbacks",
        "serving-items",
        "serving-latency",
    ]
    assert [action for action, _subject, _detail in entries(shop)] == ["make surface"] * 3


def test_a_flag_that_is_made_to_answer_brings_them_too(call, shop):
    call("PUT", "/surfaces", {"key": "switch", "kind": "flag"})
    assert call("PATCH", "/surfaces/switch", {"kind": "classify"}).status_code == 200
    assert shop.project.metrics.filter(key="serving-latency").exists()
