"""Lists beside the personal one: what is like an item."""

from __future__ import annotations

import pytest
from django.conf import settings

from bakeoff.gateway.slates.similar import StandIn
from experiments.actions.load_catalogue import patch_item, write_items
from experiments.actions.mark_units import history_of
from experiments.actions.start_experiment import start_experiment
from experiments.models import Exposure, Slate
from experiments.training_data.interactions import answers_of
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.models import Item
from inference.serving.artifact import save_artifact
from inference.serving.keys import recent_key
from inference.serving.ranker import Ranker
from tests.support import builders
from tests.support.artifacts import draft_large

# Twenty units like even items, twenty like odd ones.
TASTES = [[n % 2, (n % 2) + 2, (n % 2) + 4, (n % 2) + 6, (n % 2) + 8] for n in range(40)]


def ask(lane, shop, path, **body):
    body = {"surface": "home-feed", "unit_id": "u1", **body}
    return lane.post(f"/v1/{path}", body, shop.public)


def similar(lane, shop, item_id="i2", **body):
    answer = ask(lane, shop, "similar", item_id=item_id, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(data):
    return [item["item_id"] for item in data["items"]]


def crown(shop, algorithm, **fields):
    """Let a version of an algorithm that learnt the two tastes be champion."""
    shop.surface.versions.champions().update(alias="retired")
    return builders.make_learnt_version(
        shop.surface, TASTES, algorithm=algorithm, alias="champion", **fields
    )


@pytest.mark.parametrize("algorithm", ["item-knn", "ease", "als"])
def test_similar_items_are_what_the_champion_makes_of_one_item(lane, shop, algorithm):
    params = {"factors": 8} if algorithm == "als" else {}
    crown(shop, algorithm, params=params)
    lane.refresh()
    data = similar(lane, shop, k=4, context={"country": "DE"})
    assert set(names(data)) == {"i0", "i4", "i6", "i8"}
    assert (data["model"], data["fallback"]) == (f"{algorithm}@1", None)
    slate = Slate.objects.get(recommendation_id=data["recommendation_id"])
    assert slate.context == {"country": "DE", "$similar_to": "i2"}


def test_variants_of_the_item_and_what_a_rule_forbids_are_left_out(lane, shop):
    crown(shop, "item-knn")
    write_items(
        project_id=shop.project.pk,
        items=[
            ItemDraft("i2", group_id="shirt"),
            ItemDraft("i4", group_id="shirt"),
            ItemDraft("i6", price=5.0),
            ItemDraft("i0", price=50.0),
        ],
    )
    lane.refresh()
    assert set(names(similar(lane, shop, k=3))) == {"i0", "i6", "i8"}
    assert names(similar(lane, shop, k=3, filter={"price": {"$lt": 10}})) == ["i6"]
    assert set(names(similar(lane, shop, k=2, exclude=["i8"]))) == {"i0", "i6"}


def test_an_item_that_was_not_learnt_goes_by_its_variant_or_its_labels(lane, shop):
    crown(shop, "item-knn")
    write_items(
        project_id=shop.project.pk,
        items=[
            ItemDraft("i3", group_id="boots", labels=["shoes", "winter"]),
            ItemDraft("i9", labels=["shoes"]),
            ItemDraft("fresh-boots", group_id="boots"),
            ItemDraft("fresh-shoes", labels=["shoes", "winter"]),
            ItemDraft("fresh-hat", labels=["hats"]),
        ],
    )
    lane.refresh()
    boots = similar(lane, shop, "fresh-boots", k=4)
    assert (set(names(boots)), boots["fallback"]) == ({"i1", "i5", "i7", "i9"}, "similar_by_group")
    shoes = similar(lane, shop, "fresh-shoes", k=3)
    assert (names(shoes)[:2], shoes["fallback"]) == (["i3", "i9"], "similar_by_labels")
    assert [item["score"] for item in shoes["items"]] == [2.0, 1.0, 0.0]
    for unknown in ("fresh-hat", "nobody-knows"):
        data = similar(lane, shop, unknown, k=3)
        assert (len(data["items"]), data["fallback"]) == (3, "unknown_item")


def test_an_item_that_was_placed_goes_by_the_text_that_is_nearest(lane, shop):
    crown(shop, "item-knn")
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresh", labels=["shoes"])])
    Item.objects.filter(item_id="fresh", project=shop.project).update(neighbours=[["i3", 0.9]])
    patch_item(project_id=shop.project.pk, item_id="fresh", changes={"price": 5.0})
    lane.refresh()
    data = similar(lane, shop, "fresh", k=4)
    assert data["fallback"] == "similar_by_text"
    assert "i3" in names(data)  # its text is nearest
    assert set(names(data)) < {"i1", "i3", "i5", "i7", "i9"}


def test_a_version_that_reads_no_history_says_that_it_answers_by_its_own_order(lane, shop):
    data = similar(lane, shop, k=3)
    assert (names(data), data["fallback"]) == (["i0", "i1", "i3"], "default_list")


def test_a_version_that_reads_no_history_is_filled_by_its_order_after_what_is_alike(lane, shop):
    labels = {
        "i2": ["red", "wool"],
        "i7": ["red"],
        "i8": ["red", "wool"],
        "i9": ["wool"],
        "i1": ["tin"],
    }
    items = [ItemDraft(item, labels=own) for item, own in labels.items()]
    write_items(project_id=shop.project.pk, items=[*items, ItemDraft("fresh", labels=["tin"])])
    lane.refresh()
    data = similar(lane, shop, k=4)
    assert (names(data), data["fallback"]) == (["i8", "i7", "i9", "i0"], "similar_by_labels")
    assert names(similar(lane, shop, "fresh", k=2)) == ["i1", "i0"]  # which no version has learnt
    assert names(similar(lane, shop, k=2, filter={"labels": "tin"})) == ["i1"]
    ranker = Ranker(settings.BAKEOFF.artifacts, shop.champion.artifact_sha256)
    alike = StandIn(ranker, ("i2",))
    assert alike.is_alike_for_all
    near = alike.by_texts(["nobody-knows", "i8", "i5"])
    assert near.default_reason == "similar_by_text"
    assert [ranker.item_ids[one] for one in near.ranker.default_order[:4]] == ["i8", "i5", "i0", "i1"]
    assert alike.by_texts(["nobody-knows"]) is alike


def test_a_surface_of_similar_items_has_experiments(lane, shop):
    experiment = shop.define(crown(shop, "item-knn"))
    start_experiment(experiment=experiment, by="a test")
    lane.refresh()
    variants = {similar(lane, shop, unit_id=f"u{n}")["variant"] for n in range(20)}
    assert variants == {"control", "treatment"}
    assert Exposure.objects.filter(experiment=experiment).count() == 20


def test_slates_of_similar_items_do_not_judge_personal_lists(lane, shop):
    shop.surface.exploration = 0.5
    shop.surface.save()
    crown(shop, "item-knn")
    lane.refresh()
    similar(lane, shop)
    ask(lane, shop, "recommend")
    answers = answers_of(shop.surface)
    assert len(answers.unit_ids) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "item_id"),
        ({"item_id": ""}, "item_id"),
        ({"item_id": 7}, "item_id"),
        ({"item_id": "i" * 201}, "item_id"),
        ({"item_id": "i1", "k": 101}, "k"),
        ({"item_id": "i1", "filter": {"colour": "red"}}, "filter"),
    ],
)
def test_a_refusal_of_similar_names_the_field(lane, shop, body, field):
    answer = ask(lane, shop, "similar", **body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


LIKED = [[0, 2, 4], [0, 2], [2, 4], [6, 8], [6, 8], [1, 3], [1, 3, 5]] * 4


def recommended(lane, shop, **body):
    answer = ask(lane, shop, "recommend", explain=True, **body)
    assert answer.status_code == 200, answer.text
    return {item["item_id"]: item.get("because") for item in answer.json()["items"]}


@pytest.mark.parametrize("algorithm", ["item-knn", "als"])
def test_an_item_that_is_shown_again_is_no_reason_for_itself(lane, shop, algorithm):
    shop.surface.versions.champions().update(alias="retired")
    builders.make_learnt_version(shop.surface, LIKED, algorithm=algorithm, alias="champion")
    lane.refresh()
    cache_client().rpush(recent_key(history_of(shop.surface), "u1"), "i8", "i2", "i0")
    because = recommended(lane, shop, k=3, candidates=["i0", "i2", "i8"])
    assert len(because) == 3
    assert not any(item == reason for item, reason in because.items())


@pytest.mark.parametrize("algorithm", ["item-knn", "ease"])
def test_because_names_the_recent_item_that_adds_most(lane, shop, algorithm):
    shop.surface.versions.champions().update(alias="retired")
    builders.make_learnt_version(shop.surface, LIKED, algorithm=algorithm, alias="champion")
    lane.refresh()
    cache_client().rpush(recent_key(history_of(shop.surface), "u1"), "i8", "i0")
    because = recommended(lane, shop, k=3, candidates=["i2", "i6", "nobody-knows"])
    assert because == {"i2": "i0", "i6": "i8", "nobody-knows": None}
    # Not unless it is asked, and never invented: a newcomer has no recent item.
    plain = ask(lane, shop, "recommend", k=3).json()["items"]
    assert not any("because" in item for item in plain)
    assert set(recommended(lane, shop, unit_id="newcomer").values()) == {None}
    # A pin owes its place to nobody's taste.
    pinned = recommended(lane, shop, k=3, pin=[{"item_id": "i2", "position": 1}])
    assert pinned["i2"] is None


def test_popularity_explains_nothing(lane, shop):
    cache_client().rpush(recent_key(history_of(shop.surface), "u1"), "i8", "i0")
    assert set(recommended(lane, shop, k=3).values()) == {None}


@pytest.mark.parametrize("form", ["neighbours", "vectors"])
def test_an_anonymous_visitor_of_a_large_catalogue_is_answered_by_the_session(lane, shop, form):
    draft, nearest = draft_large(form, items=60_000)
    shop.champion.artifact_sha256 = save_artifact(settings.BAKEOFF.artifacts, draft)
    shop.champion.save()
    lane.refresh()
    cache_client().rpush(recent_key(history_of(shop.surface), "a1"), "l41234")
    body = {"surface": "home-feed", "anonymous_id": "a1", "k": 3}
    data = lane.post("/v1/recommend", body, shop.public).json()
    assert (names(data), data["fallback"]) == (nearest("l41234"), "nearline")
    data = lane.post("/v1/similar", {**body, "item_id": "l59999"}, shop.public).json()
    assert (names(data), data["fallback"]) == (nearest("l59999"), None)
