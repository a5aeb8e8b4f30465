"""Dislikes and weights of events: constructed data in which that signal alone decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from experiments.models import Event
from experiments.training_data.signals import likes_of
from inference.evaluation.ranking import score_rankings
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.scorers import scorer_of
from inference.training.data import TrainingData
from inference.training.snapshot import Dislikes, Likes, read_snapshot, write_snapshot
from inference.training.split import split_by_time
from tests.support import builders
from tests.support.learning import GROUPS, ITEMS, PER_GROUP, QUICK, train

REFUSED, SPARED = 8, 9  # of the first group
SHORT = {
    "two-tower": QUICK,
    "sasrec": {"width": 8, "history": 10, "min_steps": 60, "max_steps": 60, "rate": 0.01},
    "als": {"factors": 8},
    "popularity": {},
    "item-knn": {},
    "ease": {"l2": 10.0},
}


def make_data(**parts) -> TrainingData:
    """Units that like some items of one group."""
    rng = np.random.default_rng(0)
    liked = [(unit % GROUPS) * PER_GROUP + rng.permutation(PER_GROUP)[:5] for unit in range(120)]
    vectors = rng.normal(size=(len(ITEMS), 8)).astype(np.float32)
    return TrainingData(ITEMS, vectors, liked, **parts)


def scores_of(name: str, data: TrainingData, params: dict) -> np.ndarray:
    """Return what items of the first group score for a unit that liked some of it, (10,)."""
    draft = RECOMMENDERS[name].fit(data, FitOptions(params={**SHORT[name], **params}))
    scorer = scorer_of(draft.form, draft.arrays.__getitem__)
    return scorer.score(np.arange(PER_GROUP, dtype=np.int32), [0, 1, 2])


@pytest.mark.parametrize("name", SHORT)
def test_what_units_of_a_taste_refuse_falls(name):
    data = make_data()
    disliked = [
        np.array([REFUSED] if unit % GROUPS == 0 and REFUSED not in liked else [], np.int64)
        for unit, liked in enumerate(data.liked)
    ]
    data = replace(data, disliked=disliked)
    without, learnt = (scores_of(name, data, params) for params in ({"dislike": 0.0}, {}))
    fall = (learnt[SPARED] - learnt[REFUSED]) - (without[SPARED] - without[REFUSED])
    assert fall > 0
    assert learnt[REFUSED] < learnt[SPARED]


@pytest.mark.parametrize("name", ["two-tower", "sasrec", "als", "popularity"])
def test_what_counts_more_rises(name):
    data = make_data()
    heavy = [np.where(liked == REFUSED, 50.0, 1.0) for liked in data.liked]
    plain, weighted = scores_of(name, data, {}), scores_of(name, replace(data, importance=heavy), {})
    assert weighted[REFUSED] - weighted[SPARED] > plain[REFUSED] - plain[SPARED]


def test_weights_mean_the_same_in_any_unit():
    data = make_data()
    rng = np.random.default_rng(1)
    weights = [rng.uniform(1, 5, len(liked)) for liked in data.liked]
    cents = replace(data, importance=[100 * weight for weight in weights])
    np.testing.assert_allclose(cents.weights, replace(data, importance=weights).weights)
    assert cents.weights.mean() == pytest.approx(1)


def test_a_snapshot_keeps_weights_and_dislikes_under_its_hash(tmp_path):
    plain = Likes(["u", "u", "v"], ["i1", "i2", "i1"], [1.0, 2.0, 3.0])
    whole = replace(plain, weights=[1.0, 5.0, 1.0], dislikes=Dislikes(["u"], ["i3"], [4.0]))
    names = {write_snapshot(tmp_path, rows) for rows in (
        plain, whole, replace(plain, weights=whole.weights), replace(plain, dislikes=whole.dislikes)
    )}  # fmt: skip
    assert len(names) == 4
    # Of what was frozen before there were weights: the same content has the name that it had.
    assert write_snapshot(tmp_path, plain)[:12] == "4cb4390be6b6"
    read = read_snapshot(tmp_path, write_snapshot(tmp_path, whole), Likes)
    assert (read.weights, read.dislikes.item_ids, len(read.unit_ids)) == ([1.0, 5.0, 1.0], ["i3"], 3)


def test_nothing_of_after_the_first_held_out_like_is_learnt():
    at = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    items = ["i1", "i2", "i3", "i4", "i5", "i1", "i2"]  # i1 and i2 are bought at last
    likes = Likes(["u"] * 7, items, at, weights=[1.0] * 5 + [5.0, 5.0])
    likes = replace(likes, dislikes=Dislikes(["u", "u"], ["i7", "i8"], [4.5, 5.5]))
    split = split_by_time(likes, ITEMS)
    (past,), (whole,) = split.past, split.whole
    assert whole.weight.tolist() == [5, 5, 1, 1, 1]
    assert past.weight.tolist() == [1, 1, 1, 1]
    assert (past.disliked.tolist(), whole.disliked.tolist()) == ([7], [7, 8])
    assert split.weights_of(0, np.array([1])).tolist() == [5]


def test_weighted_metrics_pay_for_what_weighs():
    ranked, wanted = [np.array([3, 1], np.int32)], [np.array([1, 2])]
    scores = score_rankings(ranked, wanted, k=2, items=4, weights=[np.array([3.0, 1.0])])
    second = 1 / np.log2(3)
    assert scores.mean("weighted_recall") == 0.75
    assert scores.mean("weighted_ndcg") == pytest.approx(3 * second / (3 + second))
    assert "weighted_ndcg" not in score_rankings(ranked, wanted, k=2, items=4).per_unit


def test_the_newest_signal_counts_and_weights_are_recorded(shop):
    shop.surface.event_weights = {"click": 2, "conversion": {"per_value": 0.5}}
    now = timezone.now() - timedelta(hours=1)
    recorded = [
        ("click", "i0", None), ("feedback", "i1", None), ("click", "i1", None),  # hidden, then clicked
        ("click", "i2", None), ("hide", "i2", None), ("thumb", "i3", -1.0), ("thumb", "i4", 1.0),
        ("rating", "i5", 2.0), ("rating", "i6", 3.0), ("conversion", "i7", 30.0),
    ]  # fmt: skip
    for n, (name, item, value) in enumerate(recorded):
        Event.objects.create(
            project=shop.project, event_id=f"s{n}", name="hide" if name == "feedback" else name,
            unit_id="ann", item_id=item, value=value, occurred_at=now + timedelta(seconds=n),
        )  # fmt: skip
    likes = likes_of(shop.surface)
    assert dict(zip(likes.item_ids, likes.weights, strict=True)) == {"i0": 2, "i1": 2, "i7": 15}
    assert sorted(likes.dislikes.item_ids) == ["i2", "i3", "i5"]


def test_a_surface_refuses_weights_that_mean_nothing(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    path = f"/v1/surfaces/{shop.surface.key}"
    for weights, words in (
        ({"clicks": 2}, "Did you mean 'click'"),
        ({"click": -1}, "must be a number in (0"),
        ({"click": 0}, "must be a number in (0"),
        ({"click": True}, "must be a number in (0"),
        ({"click": {"per_value": -2}}, "per_value == -2"),
        ({"click": {"per_item": 2}}, "must be a number in (0"),
    ):
        refused = lane.client.patch(path, json={"event_weights": weights}, headers=headers)
        assert refused.status_code == 422, refused.text
        error = refused.json()["error"]
        assert (error["code"], error["field"]) == ("invalid_weight", "event_weights")
        assert words in error["message"]
    body = {"event_weights": {"click": 1, "conversion": {"per_value": 0.1}}}
    assert lane.client.patch(path, json=body, headers=headers).status_code == 200
    # An event that has a weight cannot stop to be a like.
    refused = lane.client.patch(path, json={"liked_events": ["click"]}, headers=headers)
    assert refused.json()["error"]["field"] == "event_weights"


def test_a_run_shows_what_it_learnt_of_both_signals(learner):
    from django.test import Client

    surface = learner
    surface.event_weights = {"rating": {"per_value": 1.0}}
    surface.save()
    late = timezone.now() - timedelta(hours=2)
    for n in range(30):  # the last thing that each does: hide an item of its own taste
        Event.objects.create(
            project=surface.project, event_id=f"h{n}", name="hide", unit_id=f"u{n:03}",
            item_id=f"i{(n % GROUPS + 1) % GROUPS * PER_GROUP}", occurred_at=late,
        )  # fmt: skip
    run = train(surface, "item-knn")
    assert run.state == "passed", run.message
    gate = run.version.gate
    assert gate["rule"]["primary"] == "weighted_ndcg"
    assert gate["about"]["window"]["dislikes"] == 30
    (row,) = [row for row in gate["about"]["slices"] if row["metric"] == "share_shown"]
    assert row["count"] == 30
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    for words in (
        "NDCG by event weight",
        "Items that users hid or rated low later",
        "Negative signals",
    ):
        assert words in page
