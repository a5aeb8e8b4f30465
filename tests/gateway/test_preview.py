"""What a unit would see and why; nothing of it is recorded."""

from __future__ import annotations

import pytest

from inference.models import Surface
from tests.support.dashboard import LaneVisit
from tests.support.html import has

ASK = {"surface": "home-feed", "unit_id": "u1", "k": 3}


@pytest.fixture
def catalogue(lane, shop):
    def catalogue(**fields):
        """Give items fields: `catalogue(i3={"labels": ["shoes"]})`."""
        items = [
            {"item_id": f"i{n}", "title": f"Item i{n}", **fields.get(f"i{n}", {})} for n in range(10)
        ]
        answer = lane.client.put(
            "/v1/items", json={"items": items}, headers={"Authorization": f"Bearer {shop.secret}"}
        )
        assert answer.status_code == 200, answer.text
        lane.refresh()

    return catalogue


@pytest.fixture
def preview(lane, shop):
    def preview(key=None, **body):
        return lane.post("/v1/recommend/preview", {**ASK, **body}, key or shop.secret)

    return preview


def codes(answer, item_id) -> list[str]:
    (one,) = (one for one in answer["about"] if one["item_id"] == item_id)
    return [reason["code"] for reason in one["reasons"]]


def names(answer) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_a_preview_says_why_and_records_nothing(shop, catalogue, preview, rows):
    catalogue(i1={"labels": ["sale"]}, i4={"available": False}, i5={"expires_at": "2020-01-01"})
    answer = preview(
        boost=[{"filter": {"labels": "sale"}, "by": 4}],
        pin=[{"item_id": "i7", "position": 3}],
        about=["i0", "i4", "i5", "i9", "gone"],
    ).json()
    assert names(answer) == ["i1", "i0", "i7"]
    assert answer["model"] == "popularity@1"
    assert answer["counts"] == {"catalogue": 10, "shown": 8, "matching": 8, "candidates": 8}
    first, second, third = (item["reasons"] for item in answer["items"])
    assert first[0]["message"] == "The model ranks it 2 of 8 candidates."
    assert first[1]["message"] == "Boosts divide its rank by 4."
    assert [one["code"] for one in second] == ["model", "by_slot"]
    assert third == [
        {
            "code": "pinned",
            "message": "A pin puts it at position 3.",
            "rule": {"item_id": "i7", "position": 3},
        }
    ]
    assert answer["about"][0]["position"] == 2
    assert codes(answer, "i4") == ["not_available"]
    assert codes(answer, "i5") == ["expired"]
    assert codes(answer, "i9") == ["rank"]
    assert codes(answer, "gone") == ["unknown"]
    assert rows("slate", shop.project) == rows("exposure", shop.project) == 0


def test_whatever_speaks_against_an_item_is_named(shop, catalogue, preview):
    catalogue(**{f"i{n}": {"labels": ["shoes"], "price": n} for n in range(9)})
    answer = preview(
        filter={"price": {"$lte": 5}},
        caps={"labels": 2},
        exclude=["i1"],
        about=["i1", "i4", "i6", "i9"],
    ).json()
    assert names(answer) == ["i0", "i2"]  # a short list, and never a broken cap
    assert codes(answer, "i1") == ["excluded"]
    assert codes(answer, "i4") == ["cap", "rank"]
    assert answer["about"][1]["reasons"][0]["rule"] == {"labels": 2}
    assert codes(answer, "i6") == codes(answer, "i9") == ["filter"]
    assert answer["about"][2]["reasons"][0]["rule"] == {"price": {"$lte": 5}}
    answer = preview(candidates=["i2", "i3"], bury={"price": 2}, k=1, about=["i2", "i5"]).json()
    assert codes(answer, "i2") == ["buried", "rank"]
    assert codes(answer, "i5") == ["not_named"]


def test_rules_are_tried_before_they_are_saved(lane, shop, catalogue, preview):
    catalogue(i8={"labels": ["new"]})
    Surface.objects.filter(pk=shop.surface.pk).update(rules={"filter": {"labels": "new"}})
    lane.refresh()
    assert names(preview().json()) == ["i8"]
    assert names(preview(surface_rules={}).json()) == ["i0", "i1", "i2"]
    tried = preview(surface_rules={"pin": [{"item_id": "i5", "position": 1}]})
    assert names(tried.json()) == ["i5", "i0", "i1"]
    refused = preview(surface_rules={"filter": {"lables": "new"}})
    assert refused.status_code == 400
    assert "Did you mean 'labels'?" in refused.json()["error"]["message"]
    refused = preview(surface_rules={"capz": {}})
    assert refused.json()["error"]["field"] == "surface_rules.capz"


def test_a_pin_that_is_left_out_says_why_unasked(catalogue, preview):
    catalogue(i4={"available": False})
    pins = [("i4", 1), ("nowhere", 2), ("i7", 3), ("i9", 4)]
    answer = preview(pin=[{"item_id": item, "position": at} for item, at in pins]).json()
    assert names(answer) == ["i0", "i1", "i7"]
    assert [one["item_id"] for one in answer["about"]] == ["i4", "nowhere"]  # three slots, so not i9
    assert (codes(answer, "i4"), codes(answer, "nowhere")) == (["not_available"], ["unknown"])


def test_what_a_user_hid_says_so(lane, shop, catalogue, preview):
    catalogue()
    event = {"name": "hide", "unit_id": "u1", "item_id": "i0"}
    assert lane.post("/v1/events", event, shop.public).status_code == 202
    answer = preview(about=["i0"]).json()
    assert names(answer) == ["i1", "i2", "i3"]
    assert codes(answer, "i0") == ["acted"]


def test_what_a_unit_liked_is_not_for_public_keys(shop, preview):
    assert preview(shop.public).status_code == 403


def test_a_surface_without_a_model_previews_its_static_list(lane, shop, catalogue, preview):
    catalogue(i3={"available": False})
    Surface.objects.create(project=shop.project, key="bare", static_list=["i3", "i2", "i6"])
    lane.refresh()
    answer = preview(surface="bare", about=["i3", "i5"]).json()
    assert (names(answer), answer["model"], answer["fallback"]) == (["i2", "i6"], None, "no_champion")
    assert codes(answer, "i3") == ["not_available"]
    assert codes(answer, "i5") == ["no_model"]
    assert codes(preview(surface="bare", k=1, about=["i6"]).json(), "i6") == ["rank"]


def test_an_item_that_came_after_the_training_says_so(shop, catalogue, preview, lane):
    catalogue()
    answer = lane.client.put(
        "/v1/items",
        json={"items": [{"item_id": "i10"}]},
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 200
    lane.refresh()
    assert codes(preview(about=["i10"]).json(), "i10") == ["not_in_version"]
    named = preview(candidates=["i0", "i10"], k=1, about=["i10"]).json()
    assert codes(named, "i10") == ["rank"]


@pytest.fixture
def browser(lane, shop):
    """Pages of the process that serves, as somebody of the team sees them."""
    visits = []

    def browser(role):
        visits.append(LaneVisit(lane, shop.project, role=role))
        return visits[-1]

    yield browser
    for visit in visits:
        visit.close()


def test_the_page_shows_the_slate_and_saves_the_rules(shop, catalogue, browser):
    catalogue(i2={"labels": ["shoes"], "image_url": "https://cdn.example/i2.png"})
    visit = browser("operator")
    address = f"/p/{shop.project.slug}/surfaces/home-feed/rules/"
    rules = '{"pin": [{"item_id": "i2", "position": 1}]}'
    body = {"rules": rules, "k": "3", "unit_id": "u1", "about": "i9, nowhere", "context": ""}
    page = visit.post(address, {**body, "preview": "1"})
    assert page.status_code == 200
    assert has(page.text, data_item="i2")
    assert "https://cdn.example/i2.png" in page.text
    assert has(page.text, data_code="unknown")
    shop.surface.refresh_from_db()
    assert shop.surface.rules == {}
    page = visit.post(address, {**body, "rules": '{"filter": {"lables": "x"}}', "preview": "1"})
    assert page.status_code == 422
    assert "Did you mean" in page.text
    for button in ("save", "keep"):
        page = visit.post(address, {**body, "rules": '{"filter": {"lables": "x"}}', button: "1"})
        assert page.status_code == 422
        assert "Did you mean" in page.text
        assert "lables" in page.text  # what was typed stays
    assert visit.post(address, {**body, "save": "1"}).status_code == 302
    shop.surface.refresh_from_db()
    assert shop.surface.rules == {"pin": [{"item_id": "i2", "position": 1}]}


def test_who_only_reads_may_preview_and_not_save(shop, catalogue, browser):
    catalogue()
    visit = browser("viewer")
    address = f"/p/{shop.project.slug}/surfaces/home-feed/rules/"
    body = {"rules": '{"caps": {"labels": 1}}', "k": "3", "unit_id": "", "about": "", "context": ""}
    assert has(visit.post(address, {**body, "preview": "1"}).text, data_item="i0")
    assert visit.post(address, {**body, "save": "1"}).status_code == 403
    shop.surface.refresh_from_db()
    assert shop.surface.rules == {}


def test_what_the_user_refused_is_named_and_a_rule_may_be_about_any_event(lane, shop, preview):
    event = {"name": "purchase", "unit_id": "u1", "item_id": "i0"}
    assert lane.post("/v1/events", event, shop.public).status_code == 202
    rules = {"repeat": {"view": "never"}}
    answer = preview(about=["i0"], surface_rules=rules).json()
    assert names(answer) == ["i1", "i2", "i3"]
    assert codes(answer, "i0") == ["acted"]
