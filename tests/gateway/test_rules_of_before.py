"""Saved rules from before items had times of their own: served as they were, and said on the page."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.load_catalogue import write_items
from experiments.actions.save_rules import CannotSaveRulesError, save_rules
from experiments.models import RuleVersion
from experiments.slate_rules.named_properties import times_meant_as_properties
from experiments.slate_rules.rules import SlateRules
from inference.actions.load_items import ItemDraft
from inference.models import Surface
from tests.support.dashboard import sign_in

OLD = {"filter": {"published_at": "2026-11"}, "caps": {"brand": 2}}
OLDER = {"bury": {"expires_at": {"$in": ["soon", "later"]}}, "boost": [
    {"filter": {"$not": {"published_at": {"$regex": "^2026"}}}, "by": 2.0}
]}  # fmt: skip


@pytest.fixture
def ask(lane, shop):
    items = [
        ItemDraft(
            f"i{n}", properties={"published_at": "2026-11" if n % 2 else "2025-01", "brand": "Acme"}
        )
        for n in range(10)
    ]
    write_items(project_id=shop.project.pk, items=items)

    def recommend(**body):
        lane.refresh()
        body = {"surface": "home-feed", "unit_id": "u1", "k": 5, **body}
        return lane.post("/v1/recommend", body, shop.public)

    return recommend


def store(shop, rules):
    """Store rules as a version did that took them."""
    Surface.objects.filter(pk=shop.surface.pk).update(rules=rules)
    return RuleVersion.objects.create(surface=shop.surface, number=1, rules=rules, created_by="before")


def test_they_are_served_with_all_that_stands_beside_them(ask, shop):
    store(shop, OLD)
    answer = ask()
    assert answer.status_code == 200
    assert {item["item_id"] for item in answer.json()["items"]} <= {"i1", "i3", "i5", "i7", "i9"}
    assert len(answer.json()["items"]) == 2  # the cap holds
    store_items = [ItemDraft(f"i{n}") for n in range(10)]
    write_items(project_id=shop.project.pk, items=store_items)
    empty = ask()
    assert (empty.status_code, empty.json()["items"]) == (200, [])
    assert empty.json()["fallback"] == "empty"


def test_boosts_and_what_is_buried_are_read_too(ask, shop):
    store(shop, OLDER)
    assert ask().status_code == 200
    assert times_meant_as_properties(OLDER) == ["expires_at", "published_at"]


def test_a_request_and_new_rules_are_refused_as_before(ask, shop):
    error = ask(filter=OLD["filter"]).json()["error"]
    assert error["field"] == "filter"
    with pytest.raises(CannotSaveRulesError, match="published_at"):
        save_rules(surface=shop.surface, rules=OLD, by="a test")
    with pytest.raises(CannotChangeSurfaceError, match="published_at"):
        patch_surface(surface=shop.surface, changes={"rules": OLD}, by="a test")


def test_the_surface_can_be_edited_beside_them_and_gone_back_to_them(ask, shop):
    store(shop, OLD)
    surface = Surface.objects.get(pk=shop.surface.pk)
    patch_surface(surface=surface, changes={"exploration": 0.1}, by="a test")
    patch_surface(surface=surface, changes={"rules": {}}, by="a test")
    patch_surface(surface=surface, changes={"rules": OLD}, by="a test")
    with pytest.raises(CannotChangeSurfaceError):
        patch_surface(surface=surface, changes={"rules": {**OLD, "caps": {"brand": 3}}}, by="a test")


def test_the_surfaces_page_says_so(ask, shop):
    client = sign_in(shop.project)
    page = reverse("surface", args=[shop.project.slug, shop.surface.key])
    assert "data-own-times" not in client.get(page).content.decode()
    store(shop, OLD)
    text = client.get(page).content.decode()
    assert "data-own-times" in text
    assert "published_at" in text


def test_what_compares_times_or_numbers_is_none_of_them():
    times = {"filter": {"published_at": {"$gt": {"$context": "since"}}, "expires_at": {"$lt": 3}}}
    assert SlateRules.parse(times)
    assert times_meant_as_properties(times) == []
    assert times_meant_as_properties({"filter": 3}) == []
