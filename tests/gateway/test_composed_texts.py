"""Filters, labels and property names find what is written in another form of Unicode."""

from __future__ import annotations

import unicodedata

import pytest

from inference.models import Item

PLACE, SIZE, LABEL = "Café", "größe", "Käse"


def apart(text):
    return unicodedata.normalize("NFD", text)


@pytest.fixture
def call(lane, shop):
    def call(method, path, body):
        headers = {"Authorization": f"Bearer {shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return call


@pytest.fixture
def found(lane, shop):
    def found(**body):
        lane.refresh()
        request = {"surface": "home-feed", "unit_id": "u1", "k": 10, **body}
        answer = lane.post("/v1/recommend", request, shop.public)
        assert answer.status_code == 200, answer.text
        return [one["item_id"] for one in answer.json()["items"]]

    return found


@pytest.mark.parametrize("store", [str, apart])
@pytest.mark.parametrize("ask", [str, apart])
def test_both_forms_are_one(call, found, shop, store, ask):
    item = {
        "item_id": "i3",
        "labels": [store(LABEL)],
        "properties": {store("ort"): store(PLACE), store(SIZE): 4, "tags": [store(LABEL)]},
    }
    call("PUT", "/items", {"items": [item]})
    for condition in (
        {"ort": ask(PLACE)},
        {ask(SIZE): {"$gte": 3}},
        {"labels": ask(LABEL)},
        {"tags": {"$in": [ask(LABEL)]}},
        {"ort": {"$context": "place"}},
    ):
        assert found(filter=condition, context={"place": ask(PLACE)}) == ["i3"]
    rules = {"filter": {ask(SIZE): 4, "labels": {"$in": [ask(LABEL)]}}, "caps": {ask(SIZE): 1}}
    assert call("PATCH", "/surfaces/home-feed", {"rules": rules}).status_code == 200
    assert found() == ["i3"]
    patch = {"properties": {ask(SIZE): 5}, "labels": [ask("Öl")]}
    changed = call("PATCH", "/items/i3", patch).json()
    assert (changed["properties"][SIZE], changed["labels"]) == (5, ["Öl"])
    assert apart(SIZE) not in changed["properties"]


def test_values_that_an_earlier_release_stored_are_found(found, shop):
    Item.objects.filter(project=shop.project, item_id="i3").update(labels=[apart(LABEL)])
    Item.objects.filter(project=shop.project, item_id="i4").update(labels=[LABEL])
    shop.project.catalogue.__class__.objects.filter(project=shop.project).update(number=99)
    Item.objects.filter(project=shop.project, item_id__in=["i3", "i4"]).update(change=99)
    assert sorted(found(filter={"labels": LABEL})) == ["i3", "i4"]


def test_ids_stay_as_they_are_sent(call, found):
    call("PUT", "/items", {"items": [{"item_id": apart(PLACE)}]})
    assert found(filter={"item_id": apart(PLACE)}, candidates=[apart(PLACE)]) == [apart(PLACE)]
