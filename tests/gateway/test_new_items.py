"""Items that came after a version: placed by their text at once, with a share of the slots."""

from __future__ import annotations

import numpy as np
import pytest
from django.utils import timezone

from experiments.actions.change_surface import patch_surface
from experiments.actions.load_catalogue import remove_items, write_items
from experiments.actions.mark_units import mark_all_units
from experiments.models import Slate
from inference.actions import place_items
from inference.actions.load_items import ItemDraft
from inference.actions.place_items import needs_places, place_missing
from inference.cache import cache_client
from inference.models import Item
from inference.serving.explore import propensities_of
from inference.serving.keys import marked_key
from inference.tasks import embed_items, place_missing_items
from tests.support import builders
from tests.support.broker import lose_messages, messages

TOPICS = ["heat and rain", "chess openings", "garden tools", "old maps", "jazz records"]


@pytest.fixture
def books(lane, shop, tiny_bert):
    """A shop whose items have texts of five topics, two of each, and their vectors."""
    drafts = [
        ItemDraft(f"i{n}", f"{TOPICS[n % 5]}", TOPICS[n % 5], labels=[f"topic{n % 5}"])
        for n in range(10)
    ]
    write_items(project_id=shop.project.pk, items=drafts)
    embed(shop)
    lane.refresh()
    return shop


def embed(shop) -> None:
    embed_items(list(Item.objects.filter(project=shop.project).values_list("pk", flat=True)))


def arrive(lane, shop, *drafts) -> None:
    """Let items come to the catalogue, and the worker see them."""
    write_items(project_id=shop.project.pk, items=drafts)
    embed_items(
        list(
            Item.objects.filter(
                project=shop.project, item_id__in=[draft.item_id for draft in drafts]
            ).values_list("pk", flat=True)
        )
    )
    lane.refresh()


def ask(lane, shop, **body):
    body = {"surface": "home-feed", "unit_id": "u1", "k": 20, **body}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def scores(data) -> dict[str, float]:
    return {item["item_id"]: item["score"] for item in data["items"]}


def like(n: int, name: str = "new", **fields) -> ItemDraft:
    return ItemDraft(name, TOPICS[n % 5], TOPICS[n % 5], labels=[f"topic{n % 5}"], **fields)


def crown(shop, algorithm, **fields):
    shop.surface.versions.champions().update(alias="retired")
    tastes = [[n % 2, (n % 2) + 2, (n % 2) + 4, (n % 2) + 6, (n % 2) + 8] for n in range(40)]
    return builders.make_learnt_version(
        shop.surface, tastes, algorithm=algorithm, alias="champion", **fields
    )


@pytest.mark.parametrize("algorithm", ["popularity", "item-knn", "ease", "als"])
def test_a_new_item_scores_the_mean_of_what_it_resembles(lane, books, algorithm):
    crown(books, algorithm, params={"factors": 8} if algorithm == "als" else {})
    embed(books)
    lane.refresh()
    assert scores(ask(lane, books, candidates=["i1", "new"]))["new"] is None
    arrive(lane, books, like(3), ItemDraft("silent"))
    neighbours = dict(Item.objects.get(project=books.project, item_id="new").neighbours)
    assert {"i3", "i8"} <= set(neighbours)
    assert Item.objects.get(project=books.project, item_id="silent").neighbours == []
    event = {"name": "click", "unit_id": "u1", "item_id": "i3"}
    lane.post("/v1/events", event, books.public)
    known = [f"i{n}" for n in range(10)]
    data = scores(ask(lane, books, candidates=[*known, "new", "silent"]))
    weights = np.array(list(neighbours.values()))
    expected = sum(data[name] * weight for name, weight in neighbours.items()) / weights.sum()
    assert data["new"] == pytest.approx(expected, abs=1e-4)
    assert data["silent"] is None
    assert list(data)[-1] == "silent"
    assert "new" in scores(ask(lane, books))  # without exploration it competes by its score


def test_in_a_large_catalogue_a_graph_of_texts_says_what_a_new_item_resembles(lane, books, monkeypatch):
    monkeypatch.setattr(place_items, "MAX_KNOWN", 2)
    monkeypatch.setattr(place_items, "NEAR_TEXTS", 4)
    crown(books, "popularity")
    arrive(lane, books, like(3), ItemDraft("silent"))
    neighbours = dict(Item.objects.get(project=books.project, item_id="new").neighbours)
    assert list(neighbours)[:2] == ["i3", "i8"]  # neither is among the first two
    assert len(neighbours) <= 4
    assert Item.objects.get(project=books.project, item_id="silent").neighbours == []
    assert "new" in scores(ask(lane, books))


def test_a_deleted_new_item_and_one_that_may_not_be_shown_is_gone(lane, books):
    arrive(lane, books, like(0), like(1, "off", available=False))
    assert "new" in scores(ask(lane, books))
    assert "off" not in scores(ask(lane, books))
    assert set(scores(ask(lane, books, filter={"labels": "topic0"}))) == {"i0", "new", "i5"}
    body = {"surface": "home-feed", "unit_id": "u1", "k": 20}
    shown = lane.post("/v1/recommend/preview", body, books.secret).json()["items"]
    assert {one["reasons"][0]["code"] for one in shown} == {"model"}  # no cap made the list wider
    assert "new" in {one["item_id"] for one in shown}
    remove_items(project_id=books.project.pk, item_ids=["new"])
    lane.refresh()
    assert "new" not in scores(ask(lane, books))


def test_what_a_unit_liked_of_the_new_counts_as_its_nearest(lane, books):
    crown(books, "item-knn")
    embed(books)
    arrive(lane, books, like(2))
    lane.refresh()
    lane.post("/v1/events", {"name": "click", "unit_id": "u1", "item_id": "new"}, books.public)
    data = ask(lane, books, k=3)
    assert data["fallback"] == "nearline"
    assert {"i4", "i6", "i8"} >= set(scores(data)) - {"i0", "i2"}
    assert "new" not in scores(data)


def test_new_items_get_their_share_and_the_log_gives_the_chances_again(lane, books):
    patch_surface(
        surface=books.surface,
        changes={"exploration": 1.0, "rules": {"new_item_share": 0.3}},
        by="a test",
    )
    arrive(lane, books, like(0), like(1, "newer"), like(2, "newest"))
    new, shown, slots = {"new", "newer", "newest"}, 0, 0
    for n in range(120):
        data = ask(lane, books, unit_id=f"u{n}", k=3)
        slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
        lanes = {True: [], False: []}
        for item, _score, rank, propensity, explored, allowed, chance in slate.slots:
            is_new = item in new
            lane_of = lanes[is_new]
            drawn = propensities_of([*lane_of, rank - 1], 3 if is_new else 10, 3, temperature=1.0)[-1]
            assert chance == pytest.approx(0.3 if is_new else 0.7) or len(lanes[not is_new]) >= 3
            assert propensity == pytest.approx(drawn * chance)
            assert allowed is None
            assert explored or not is_new
            lane_of.append(rank - 1)
            shown, slots = shown + is_new, slots + 1
    assert 0.2 < shown / slots < 0.4  # 360 slots: four standard deviations are 0.1


def test_a_share_that_a_request_names_holds_without_exploration(lane, books):
    arrive(lane, books, like(0))
    data = ask(lane, books, k=1, new_item_share=0.5)
    (slot,) = Slate.objects.get(recommendation_id=data["recommendation_id"]).slots
    assert slot[6] == 0.5


def test_the_share_is_of_young_items_on_surfaces_that_explore(lane, books):
    arrive(lane, books, like(0))
    plain = ask(lane, books)
    slate = Slate.objects.get(recommendation_id=plain["recommendation_id"])
    assert all(len(slot) == 5 for slot in slate.slots)
    patch_surface(surface=books.surface, changes={"exploration": 0.5}, by="a test")
    lane.refresh()

    def chances(**rules):
        data = ask(lane, books, k=1, **rules)
        (slot,) = Slate.objects.get(recommendation_id=data["recommendation_id"]).slots
        return slot[6] if len(slot) > 5 else None

    assert chances() in {0.05, 0.95}
    assert chances(new_item_share=0.5) == 0.5
    assert chances(new_item_share=0) is None
    Item.objects.filter(project=books.project, item_id="new").update(
        created_at=timezone.now() - timezone.timedelta(days=3)
    )
    patch_items = [like(0, price=3.0)]
    arrive(lane, books, *patch_items)
    assert chances(new_item_days=2) is None
    assert chances(new_item_days=5) in {0.05, 0.95}


def test_a_version_that_came_into_use_has_its_unknown_items_placed(lane, books):
    lose_messages()
    arrive(lane, books, like(4, "between"))
    assert not needs_places(project_id=books.project.pk)
    Item.objects.filter(project=books.project, item_id="between").update(neighbours=[])
    assert needs_places(project_id=books.project.pk)
    lose_messages()
    cache_client().delete(marked_key(books.surface.pk))
    mark_all_units(surface=books.surface)
    assert messages("embed") == [[books.project.pk]]
    assert place_missing_items(books.project.pk) == 1
    assert not needs_places(project_id=books.project.pk)
    lane.refresh()
    assert "between" in scores(ask(lane, books))
    # The next version has learnt it: it needs no place any more.
    books.surface.versions.champions().update(alias="retired")
    builders.make_version(books.surface, [1] * 11, alias="champion")
    assert place_missing(project_id=books.project.pk) == 1
    assert not Item.objects.get(project=books.project, item_id="between").neighbours


def test_a_changed_vector_or_group_places_an_item_anew(books, lane):
    arrive(lane, books, ItemDraft("new"))
    item = Item.objects.get(project=books.project, item_id="new")
    lose_messages()
    for changes in ({"group_id": "shirt"}, {"vector": [1.0, 0.0]}, {"price": 3.0}):
        headers = {"Authorization": f"Bearer {books.secret}"}
        assert lane.client.patch("/v1/items/new", json=changes, headers=headers).status_code == 200
    assert messages("embed") == [[[item.pk]], [[item.pk]]]


def test_without_an_encoder_labels_and_group_place_it(lane, books, monkeypatch):
    from inference.encoders import item_vectors
    from inference.encoders.locate import NotFoundError

    Item.objects.filter(project=books.project, item_id="i6").update(group_id="shirt")
    monkeypatch.setattr(item_vectors, "encoder_sha256", item_vectors.encoder_sha256.__wrapped__)
    monkeypatch.setattr(item_vectors, "encoder_path", _missing_encoder)
    write_items(project_id=books.project.pk, items=[like(2), ItemDraft("size-m", group_id="shirt")])
    items = Item.objects.filter(project=books.project, item_id__in=["new", "size-m"])
    with pytest.raises(NotFoundError):
        embed_items(list(items.values_list("pk", flat=True)))
    placed = dict(items.values_list("item_id", "neighbours"))
    assert placed == {"new": [["i2", 1.0], ["i7", 1.0]], "size-m": [["i6", 1.0]]}


def _missing_encoder() -> str:
    from inference.encoders.locate import NotFoundError

    raise NotFoundError("no encoder")
