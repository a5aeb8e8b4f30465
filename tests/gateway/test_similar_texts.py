"""`/v1/similar` of what a version has learnt: behaviour and texts, fused by how many like the item."""

from __future__ import annotations

import numpy as np
import pytest
from django.conf import settings

from experiments.actions.load_catalogue import patch_item, write_items
from inference.actions.load_items import ItemDraft
from inference.models import Item, ModelVersion
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.training.data import TrainingData
from inference.training.near_items import with_near_items
from tests.support.dashboard import sign_in
from tests.support.waiting import wait_until

NEAREST_DAMAGED = (
    "its file of nearest items is damaged, so similar items go by behaviour alone. Restore the file"
)
# Twenty units like even items, twenty like odd ones; only the first likes i9.
TASTES = [[n % 2, n % 2 + 2, n % 2 + 4, n % 2 + 6] for n in range(40)]


def crown(shop, algorithm="item-knn", *, alike=(), rare=9, number=1):
    """Let a version be champion that knows by texts that some items are like others."""
    items = list(shop.project.items.order_by("id").values_list("item_id", flat=True))
    vectors = np.eye(len(items), dtype=np.float32)
    for one, other in alike:
        vectors[one] = vectors[one] + 0.9 * vectors[other]
    liked = [np.array(one) for one in TASTES]
    liked[1] = np.append(liked[1], rare)
    data = TrainingData(items, vectors, liked)
    params = {"factors": 8} if algorithm == "als" else {}
    draft = with_near_items(RECOMMENDERS[algorithm].fit(data, FitOptions(params=params)), data)
    shop.surface.versions.champions().update(alias="retired")
    return ModelVersion.objects.create(
        surface=shop.surface,
        algorithm=algorithm,
        number=number,
        alias="champion",
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
        gate={"passed": True, "rows": {}},
    )


def similar(lane, shop, item_id, **body):
    body = {"surface": "home-feed", "unit_id": "u1", "item_id": item_id, **body}
    answer = lane.post("/v1/similar", body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(data):
    return [item["item_id"] for item in data["items"]]


@pytest.mark.parametrize("algorithm", ["item-knn", "als"])
def test_what_few_like_is_beside_what_its_text_is_like(lane, shop, algorithm):
    crown(shop, algorithm)
    lane.refresh()
    behind = names(similar(lane, shop, "i9", k=8)).index("i2")  # nobody who likes i9 likes it
    crown(shop, algorithm, alike=[(9, 2)], number=2)
    lane.refresh()
    data = similar(lane, shop, "i9", k=6)
    assert names(data).index("i2") < min(behind, 4)
    assert (data["model"], data["fallback"]) == (f"{algorithm}@2", None)
    # Once more, and for anybody else: the same list.
    assert names(similar(lane, shop, "i9", k=6, unit_id="u2")) == names(data)
    assert "i9" not in names(data)
    scores = [item["score"] for item in data["items"]]
    assert scores == sorted(scores, reverse=True)


def test_what_many_like_goes_by_what_they_like(lane, shop):
    crown(shop, alike=[(0, 9)])
    lane.refresh()
    # Twenty like i0: what they like too comes first, and i9, which its text is like, behind.
    assert set(names(similar(lane, shop, "i0", k=3))) == {"i2", "i4", "i6"}
    assert "i9" in names(similar(lane, shop, "i0", k=6))


def test_a_version_without_texts_answers_as_before(lane, shop):
    crown(shop)
    lane.refresh()
    assert set(names(similar(lane, shop, "i0", k=3))) == {"i2", "i4", "i6"}


def test_rules_hold_for_what_texts_bring(lane, shop):
    crown(shop, alike=[(9, 2)])
    write_items(project_id=shop.project.pk, items=[ItemDraft("i2", price=80.0)])
    lane.refresh()
    assert "i2" in names(similar(lane, shop, "i9", k=8))
    for rule in ({"exclude": ["i2"]}, {"filter": {"price": {"$lt": 10}}}):
        assert "i2" not in names(similar(lane, shop, "i9", k=8, **rule))
    patch_item(project_id=shop.project.pk, item_id="i2", changes={"available": False})
    lane.refresh()
    assert "i2" not in names(similar(lane, shop, "i9", k=8))
    assert set(names(similar(lane, shop, "i9", k=3, candidates=["i5", "i1"]))) == {"i1", "i5"}


def test_a_new_item_is_beside_those_that_it_is_placed_among(lane, shop):
    crown(shop)
    write_items(project_id=shop.project.pk, items=[ItemDraft("fresh", labels=["shoes"])])
    Item.objects.filter(item_id="fresh", project=shop.project).update(
        neighbours=[["i3", 0.9], ["i8", 0.8]]
    )
    patch_item(project_id=shop.project.pk, item_id="fresh", changes={"price": 5.0})
    lane.refresh()
    data = similar(lane, shop, "fresh", k=6)
    assert data["fallback"] == "similar_by_text"
    # Its nearest text, what is liked with that, and the next nearest, which nobody likes with it.
    assert {"i3", "i8", "i1", "i5", "i7"} <= set(names(data))


def test_a_damaged_file_of_nearest_items_takes_nothing_else_away(lane, shop, caplog):
    # An artifact that no other test has opened: an open one is not read again.
    version = crown(shop, alike=[(9, 2), (7, 3)])
    file = settings.BAKEOFF.artifacts / version.artifact_sha256 / "near_items.npy"
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-4] + b"\1\2\3\4")
    try:
        for _ in range(3):
            lane.refresh()
        body = {"surface": "home-feed", "unit_id": "u1", "k": 5}
        data = lane.post("/v1/recommend", body, shop.public).json()
        assert (data["model"], len(data["items"])) == ("item-knn@1", 5)
        assert data["fallback"] != "model_unavailable"
        assert len(names(similar(lane, shop, "i9", k=6))) == 6
        logged = [one.message for one in caplog.records if "near_items.npy" in one.message]
        assert logged == ["version item-knn@1 serves without near_items.npy, which was changed"]
        client = sign_in(shop.project)
        wait_until(lambda: NEAREST_DAMAGED in client.get("/health/").content.decode())
    finally:
        file.write_bytes(whole)


def test_a_damaged_file_that_answers_need_is_logged_once(lane, shop, caplog):
    version = crown(shop, alike=[(8, 3)])
    file = settings.BAKEOFF.artifacts / version.artifact_sha256 / "default_order.npy"
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-4] + b"\1\2\3\4")
    for _ in range(3):
        lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u1", "k": 5}
    assert lane.post("/v1/recommend", body, shop.public).json()["fallback"] == "model_unavailable"
    assert sum("cannot be served" in one.message for one in caplog.records) == 1
    file.write_bytes(whole)
    lane.refresh()
    assert lane.post("/v1/recommend", body, shop.public).json()["fallback"] != "model_unavailable"
