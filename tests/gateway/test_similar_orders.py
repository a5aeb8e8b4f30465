"""`/v1/similar` of surfaces whose versions are orders: what is like the item, then the own order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from experiments.actions.add_order import add_order, read_order
from experiments.actions.count_orders import count_orders
from experiments.actions.load_catalogue import write_items
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from inference.actions.load_items import ItemDraft
from inference.models import Surface
from tests.support import builders

ORDERS = ["popular", "trending", "latest", "search"]


@pytest.fixture
def shelf(lane, shop):
    """A catalogue of which i5 is the newest and most liked, and whose i7 and i8 share labels."""
    now = builders.now()
    items = [
        ItemDraft(f"i{n}", f"Item {n}", published_at=now - timedelta(days=30 + n)) for n in range(10)
    ]
    items[5] = ItemDraft("i5", published_at=now - timedelta(hours=1))
    items[7] = ItemDraft("i7", labels=["red", "wool"], published_at=now - timedelta(days=90))
    items[8] = ItemDraft("i8", labels=["red"], published_at=now - timedelta(days=99))
    write_items(project_id=shop.project.pk, items=items)
    builders.write(Rows(events=[builders.event(shop.project, unit="u9", item_id="i5")]))
    return shop


def make(lane, shop, name):
    surface = Surface.objects.create(project=shop.project, key=f"{name}-list")
    add_order(surface=surface, order=read_order(name, {}), by="a test")
    count_orders(surface=surface)
    lane.refresh()
    return surface


def similar(lane, shop, surface, item_id, **body):
    body = {"surface": surface.key, "unit_id": "u1", "item_id": item_id, **body}
    answer = lane.post("/v1/similar", body, shop.public)
    assert answer.status_code == 200, answer.text
    data = answer.json()
    return [item["item_id"] for item in data["items"]], data["fallback"]


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_answers_by_labels_and_then_by_itself(lane, shelf, name):
    surface = make(lane, shelf, name)
    assert similar(lane, shelf, surface, "i8", k=2) == (["i7", "i5"], "similar_by_labels")
    assert similar(lane, shelf, surface, "i1", k=1) == (["i5"], "default_list")
    assert similar(lane, shelf, surface, "nobody-knows", k=1) == (["i5"], "default_list")
    assert similar(lane, shelf, surface, "i5", k=20)[0].count("i5") == 0
    assert similar(lane, shelf, surface, "i1", k=3, filter={"labels": "wool"})[0] == ["i7"]


def test_what_comes_later_joins_it(lane, shelf):
    surface = make(lane, shelf, "popular")
    assert similar(lane, shelf, surface, "i8", k=1)[0] == ["i7"]
    write_items(project_id=shelf.project.pk, items=[ItemDraft("fresh", labels=["red"])])
    lane.refresh()
    assert similar(lane, shelf, surface, "fresh", k=2) == (["i7", "i8"], "similar_by_labels")
    assert "fresh" not in similar(lane, shelf, surface, "i8", k=2, exclude=["fresh"])[0]


def test_both_variants_of_a_test_of_orders_answer(lane, shelf):
    surface = make(lane, shelf, "trending")
    shelf.surface, shelf.champion = surface, surface.versions.get()
    challenger = add_order(surface=surface, order=read_order("latest", {}), by="a test")
    start_experiment(experiment=shelf.define(challenger), by="a test")
    lane.refresh()
    lists = {tuple(similar(lane, shelf, surface, "i8", k=2, unit_id=f"u{n}")[0]) for n in range(12)}
    assert lists == {("i7", "i5")}
