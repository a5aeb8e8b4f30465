"""Items that nobody liked yet: what is like them, and what a history of them brings."""

from __future__ import annotations

import numpy as np
import pytest
from django.conf import settings

from experiments.actions.mark_units import history_of
from inference.algorithms import recommenders
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.options import FitOptions
from inference.serving.artifact import save_artifact
from inference.serving.keys import recent_key
from inference.training.data import TrainingData
from inference.training.near_items import with_near_items

TOPICS, EACH, COLD = 8, 12, 4  # per topic items, of which the last ones have no likes
K = 6
PARAMS = {
    "als": {"factors": 16, "l2": 3.0},
    "two-tower": {"epochs": 30, "batch": 32},
    "sasrec": {"width": 16, "history": 8, "min_steps": 150, "batch": 16, "rate": 1e-2},
    "blend": {"parts": ["item-knn", "ease"], "weights": [1.0, 1.0]},
}


def topic_of(item_id):
    return int(item_id[1:]) // EACH


def clinic():
    """Articles of some topics; readers each read one topic and a few others; some were never read."""
    rng = np.random.default_rng(3)
    topics = np.repeat(np.arange(TOPICS), EACH)
    vectors = rng.normal(size=(TOPICS, 24))[topics] + 0.6 * rng.normal(size=(len(topics), 24))
    warm = np.flatnonzero(np.arange(len(topics)) % EACH < EACH - COLD)
    likes = []
    for reader in range(160):
        own = rng.choice(warm[topics[warm] == reader % TOPICS], 4, replace=False)
        likes.append(rng.permutation(np.unique(np.append(own, rng.choice(warm, 2)))))
    return TrainingData([f"a{n}" for n in range(len(topics))], vectors.astype(np.float32), likes)


def crown(shop, algorithm, *, texts=True, params=None):
    data = clinic()
    if not texts:
        data = TrainingData(data.item_ids, None, data.liked)
    draft = recommenders()[algorithm].fit(data, FitOptions(params=params or PARAMS.get(algorithm, {})))
    shop.surface.versions.champions().update(alias="retired")
    ModelVersion.objects.create(
        surface=shop.surface,
        algorithm=algorithm,
        number=1,
        alias="champion",
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, with_near_items(draft, data)),
        gate={"passed": True, "rows": {}},
    )
    return [item for n, item in enumerate(data.item_ids) if n % EACH >= EACH - COLD]


def ask(lane, shop, path, **body):
    body = {"surface": "home-feed", "unit_id": "u1", "k": K, **body}
    answer = lane.post(f"/v1/{path}", body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def read(shop, *item_ids, unit="u1"):
    key = recent_key(history_of(shop.surface), unit)
    cache_client().delete(key)
    cache_client().rpush(key, *item_ids)


def share_of_topic(data, item_id):
    return np.mean([topic_of(item["item_id"]) == topic_of(item_id) for item in data["items"]])


@pytest.mark.parametrize("algorithm", ["item-knn", "ease", "als", "two-tower", "sasrec", "blend"])
def test_what_is_like_a_cold_item_and_what_its_readers_get_is_of_its_topic(lane, shop, algorithm):
    cold = crown(shop, algorithm)
    lane.refresh()
    similar, recommended = [], []
    for item in cold:
        similar.append(share_of_topic(ask(lane, shop, "similar", item_id=item), item))
        other = next(one for one in cold if one != item and topic_of(one) == topic_of(item))
        read(shop, item, other)
        data = ask(lane, shop, "recommend")
        recommended.append(share_of_topic(data, item))
    # At random an eighth. Towers learn little of 160 readers; the others go by the nearest texts.
    assert np.mean(similar) > 0.8
    assert np.mean(recommended) > (0.3 if algorithm == "two-tower" else 0.6)


def test_a_history_of_which_a_version_knows_nothing_is_answered_by_the_default_list(lane, shop):
    cold = crown(shop, "item-knn", texts=False)
    lane.refresh()
    read(shop, *cold[:2])
    data = ask(lane, shop, "recommend")
    assert data["fallback"] == "default_list"
    assert not {item["item_id"] for item in data["items"]} & set(cold)
    read(shop, "a0", cold[0])  # one that it knows is enough
    assert ask(lane, shop, "recommend")["fallback"] == "nearline"
    assert ask(lane, shop, "similar", item_id=cold[0])["fallback"] == "unknown_item"
    assert ask(lane, shop, "similar", item_id="a0")["fallback"] is None


def test_by_a_version_whose_row_of_a_cold_item_is_empty_its_nearest_texts_come_first(lane, shop):
    """As versions from before cold items were written into histories have them."""
    cold = crown(shop, "item-knn", params={"cold": 0.0})
    lane.refresh()
    data = ask(lane, shop, "similar", item_id=cold[0])
    assert data["fallback"] == "similar_by_text"
    assert share_of_topic(data, cold[0]) == 1
    assert len({item["score"] for item in data["items"]}) == K
