"""The nearest items by texts and images: found when a version is made, fused with its own list."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from django.conf import settings

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import load_array, save_artifact
from inference.serving.fused_ranker import FusedRanker
from inference.serving.near_items import MAX_NEAR, weight_of
from inference.serving.ranker import Ranker
from inference.training import near_items as module
from inference.training.data import TrainingData
from inference.training.near_items import MIN_COSINE, near_items, with_near_items
from tests.support.learning import train


def units(count, width=16, seed=0, groups=0):
    """Vectors of length 1; of some groups, around as many centres."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, width))
    if groups:
        rows = rng.normal(size=(groups, width))[np.arange(count) % groups] + 0.5 * rows
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute(cosines):
    """The nearest of each by all cosines, as a person would write it down."""
    lists = np.full((len(cosines), MAX_NEAR), -1)
    for item, line in enumerate(cosines):
        others = [(-cosine, other) for other, cosine in enumerate(line) if other != item]
        near = [other for cosine, other in sorted(others) if -cosine >= MIN_COSINE][:MAX_NEAR]
        lists[item, : len(near)] = near
    return lists


def test_the_nearest_are_those_of_all_cosines():
    vectors = units(300)
    assert near_items([vectors]).tolist() == brute(vectors @ vectors.T).tolist()


def test_texts_and_images_count_alike_and_what_is_missing_counts_nothing():
    texts, images = units(60), units(60, seed=1)
    images[::3] = 0  # no image
    texts[-1] = 0  # no text
    count = np.outer(texts.any(1), texts.any(1)) * 1.0 + np.outer(images.any(1), images.any(1))
    mean = (texts @ texts.T + images @ images.T) / np.maximum(count, 1)
    assert near_items([texts, images]).tolist() == brute(mean).tolist()


def test_equal_texts_come_in_the_order_of_the_catalogue_and_unlike_ones_not_at_all():
    same = np.tile(units(1), (3000, 1))
    found = near_items([same])
    first = np.arange(MAX_NEAR + 1)
    assert found[7].tolist() == np.delete(first, 7).tolist()
    assert (found[MAX_NEAR:] == first[:-1]).all()
    apart = np.eye(30, dtype=np.float32)
    assert (near_items([apart]) == -1).all()
    assert near_items([units(1)]).tolist() == [[-1] * MAX_NEAR]


def test_of_many_items_those_of_the_nearest_groups_are_compared(monkeypatch):
    vectors = units(4000, width=96, groups=200)
    exact = near_items([vectors])
    monkeypatch.setattr(module, "MAX_EXACT", 1000)
    found = near_items([vectors])
    assert near_items([vectors]).tolist() == found.tolist()
    shared = [len(set(a[a >= 0]) & set(b[b >= 0])) for a, b in zip(exact, found, strict=True)]
    assert sum(shared) / (exact >= 0).sum() >= 0.95
    assert not (found == np.arange(len(found))[:, None]).any()  # none is near itself


def test_what_has_no_vector_is_compared_with_nothing_and_equal_texts_take_no_more_memory(monkeypatch):
    vectors = units(6000, width=32, groups=60)
    vectors[:4000] = 0  # no text
    vectors[4000:5500] = vectors[-1]  # equal ones, one group
    monkeypatch.setattr(module, "MAX_EXACT", 500)
    monkeypatch.setattr(module, "MAX_OWN", 600)
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", elements := 100_000)
    tracemalloc.start()
    found = near_items([vectors])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A few matrices of a block, float32 or int64, beside lists and vectors, which grow with n alone.
    assert peak < 40 * elements + 4 * vectors.nbytes + 2 * found.nbytes
    assert (found[:4000] == -1).all()
    assert ((found >= 4000) | (found == -1)).all()
    for item in (4000, 4300, 4900, 5499):  # of any part of the group: the first of the catalogue
        first = np.arange(4000, 4000 + MAX_NEAR + 1)
        assert found[item].tolist() == first[first != item][:MAX_NEAR].tolist()


def test_an_item_that_says_nothing_but_its_id_has_no_near_items_by_its_text(learner):
    items = learner.project.items.order_by("id")
    silent = list(items[:3])
    for item in silent:
        item.title, item.text, item.labels, item.properties = "", "", [], {}
        item.save()
    run = train(learner, "item-knn")
    assert run.version is not None, run.message
    near = load_array(settings.BAKEOFF.artifacts / run.version.artifact_sha256, "near_items")
    assert (near[:3] == -1).all()
    assert near[3:].max() >= 3
    assert not np.isin(near, [0, 1, 2]).any()


def test_the_fewer_like_an_item_the_more_its_text_counts():
    weights = [weight_of(likes) for likes in (0, 2, 10, 1000)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 2 * weights[1]
    assert weights[-1] < 0.01


def data_of(items=12) -> TrainingData:
    """Two tastes; the texts of i0 and i11, which few like, are the same."""
    vectors = np.eye(items, dtype=np.float32)
    vectors[11] = vectors[0]
    liked = [np.arange(unit % 2, 10, 2) for unit in range(20)]
    liked[0] = np.append(liked[0], 11)
    return TrainingData([f"i{n}" for n in range(items)], vectors, liked)


@pytest.mark.parametrize("algorithm", ["item-knn", "ease", "als"])
def test_a_version_holds_its_nearest_items(tmp_path, algorithm):
    data = data_of()
    draft = with_near_items(RECOMMENDERS[algorithm].fit(data, FitOptions()), data)
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft))
    assert ranker.near_items.of(0).tolist() == [11]
    assert ranker.near_items.of(3).tolist() == []
    assert ranker.near_items.weights[11] == pytest.approx(weight_of(1))
    popular = with_near_items(RECOMMENDERS["popularity"].fit(data, FitOptions()), data)
    assert Ranker(tmp_path, save_artifact(tmp_path, popular)).near_items is None
    plain = TrainingData(data.item_ids, None, data.liked)
    without = with_near_items(RECOMMENDERS[algorithm].fit(plain, FitOptions()), plain)
    assert Ranker(tmp_path, save_artifact(tmp_path, without)).near_items is None


def fused_of(tmp_path, near, weight):
    data = data_of()
    ranker = Ranker(tmp_path, save_artifact(tmp_path, RECOMMENDERS["item-knn"].fit(data, FitOptions())))
    return ranker, FusedRanker(ranker, np.array(near, dtype=np.int32), weight)


def test_scores_are_sums_over_ranks_in_both_lists(tmp_path):
    ranker, fused = fused_of(tmp_path, [9, 4, 3], 0.5)
    items = np.array([2, 3, 4, 6, 8], dtype=np.int32)
    own = np.argsort(-ranker.score(items, [0]), kind="stable")
    wanted = {int(items[place]): 1 / (60 + rank) for rank, place in enumerate(own, start=1)}
    wanted[4] += 0.5 / 61  # 9 is no candidate: 4 is the nearest that is
    wanted[3] += 0.5 / 62
    scores = fused.score(items, [0])
    assert scores.tolist() == pytest.approx([wanted[item] for item in items.tolist()], rel=1e-5)
    assert fused.score(items[:0], [0]).shape == (0,)


def test_the_list_holds_what_only_texts_know(tmp_path):
    ranker, fused = fused_of(tmp_path, [11, 3], 0.5)
    own = ranker.nearline([0], 4).tolist()
    both = fused.nearline([0], 6).tolist()
    assert 3 not in own
    assert {3, *own} <= set(both)
    assert fused.nearline([0], 6).dtype == np.int32
    assert len(fused.nearline([0], 2)) == 2


def test_a_run_writes_them_into_what_it_exports(learner):
    run = train(learner, "item-knn")
    assert run.version is not None, run.message
    folder = settings.BAKEOFF.artifacts / run.version.artifact_sha256
    near, weights = load_array(folder, "near_items"), load_array(folder, "near_weights")
    count = learner.project.items.count()
    assert near.shape == (count, MAX_NEAR)
    assert weights.shape == (count,)
    assert near.max() >= 0
    assert 0 < weights.min() <= weights.max() <= weight_of(0)
