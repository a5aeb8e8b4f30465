"""Judging among what could be shown: most of a large catalogue has expired, and costs no memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from inference.recommenders.blend import mean_ndcg
from inference.runs.rankings import rank_units
from inference.runs.serving_checks import rank_artifact
from inference.serving.artifact import ArtifactDraft, save_artifact
from inference.serving.ranker import Ranker
from inference.serving.scorers import NEIGHBOURS, draft_vectors, scorer_of
from inference.training.data import TrainingData
from inference.training.snapshot import Likes
from inference.training.split import hidden_of, hold_out_last, split_by_time

SMALL, LARGE = 300, 60_000  # items: all are scored of the one, what is near is looked for of the other
K = 10


def draft(items, count, *, reads_history=True):
    """Each item is near the next five; without histories, the bias alone ranks."""
    rng = np.random.default_rng(0)
    bias = rng.random(count).astype(np.float32)
    order = np.argsort(-bias).astype(np.int32)
    if not reads_history:
        empty = np.zeros((count, 0), np.float32)
        return draft_vectors(
            item_ids=items, item_vectors=empty, context_vectors=empty, bias=bias, default_order=order, about={}
        )  # fmt: skip
    near = (np.arange(count)[:, None] + np.arange(1, 6)) % count
    arrays = {
        "starts": np.arange(0, 5 * count + 1, 5),
        "nearest": near.ravel().astype(np.int32),
        "weights": rng.uniform(1, 2, 5 * count).astype(np.float32),
        "bias": bias,
        "default_order": order,
    }
    return ArtifactDraft(form=NEIGHBOURS, arrays=arrays, item_ids=items, about={})


def split_of(items, units, *, expired=0.9):
    """Units that liked ten items each; a share of the catalogue expired before the last two."""
    rng = np.random.default_rng(1)
    liked = rng.integers(len(items), size=(units, 10))
    likes = Likes(
        [f"u{unit}" for unit in range(units) for _ in range(10)],
        [items[item] for row in liked for item in row],
        [float(at) for _ in range(units) for at in range(10)],
    )
    until = np.where(rng.random(len(items)) < expired, 7.5, np.inf)
    return replace(
        split_by_time(likes, items), published_at=np.full(len(items), -np.inf), expires_at=until
    )


def plain_list(ranker, split, unit):
    """The best by all scores, of what is neither seen nor hidden."""
    line = ranker.scorer.score_all([split.past[unit].items[::-1].tolist()])[0]
    gone = np.flatnonzero(split.expires_at < 8)
    line[np.setdiff1d(gone, split.later[unit])] = -np.inf
    line[split.past[unit].items] = -np.inf
    return np.argsort(-line, kind="stable")[:K].tolist()


@pytest.mark.parametrize("reads_history", [True, False])
@pytest.mark.parametrize("expired", [0.02, 0.9])
@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_lists_are_the_best_of_what_could_be_shown(tmp_path, count, expired, reads_history):
    items = [f"i{n}" for n in range(count)]
    split = split_of(items, 20, expired=expired)
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft(items, count, reads_history=reads_history)))
    lists = rank_units(ranker, split, split.judged, K)
    assert [one.tolist() for one in lists] == [plain_list(ranker, split, unit) for unit in split.judged]


@pytest.mark.parametrize("reads_history", [True, False])
def test_what_has_expired_takes_no_memory_per_unit(tmp_path, reads_history):
    items = [f"i{n}" for n in range(LARGE)]
    split = split_of(items, 300)
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft(items, LARGE, reads_history=reads_history)))
    tracemalloc.start()
    try:
        lists = rank_units(ranker, split, split.judged, K)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {len(one) for one in lists} == {K}
    # 54,000 numbers of each unit would be 130 MB as an array, and 650 as a list.
    assert peak < 64 * 2**20


def test_a_version_of_other_items_is_judged_by_what_could_be_shown_of_them(tmp_path):
    items = [f"i{n}" for n in range(SMALL)]
    split = split_of(items, 20, expired=0.5)
    theirs = ["gone", *reversed(items[:200])]
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft(theirs, len(theirs))))
    gone = set(np.flatnonzero(split.expires_at < 8).tolist())
    for unit, ranked in zip(
        split.judged, rank_artifact(ranker, split, split.judged, SMALL), strict=True
    ):
        shown = {*range(200)} - (gone - {*split.later[unit].tolist()}) - {*split.past[unit].items}
        assert sorted(ranked.tolist()) == [-1, *sorted(shown)]


def test_validation_is_among_what_could_be_shown(tmp_path):
    items = [f"i{n}" for n in range(SMALL)]
    liked = [np.arange(unit, unit + 10) for unit in range(20)]
    until = np.full(SMALL, 7.5)  # all but what is liked at last
    data = TrainingData(items, None, liked, [np.arange(10.0)] * 20)
    data = replace(data, published_at=np.full(SMALL, -np.inf), expires_at=until)
    learnt, judged, wanted = hold_out_last(data)
    fitted = draft(items, SMALL, reads_history=False)
    rows = ([scorer_of(fitted.form, fitted.arrays.__getitem__)], [np.ones(1)])
    rows += ([learnt.liked[unit] for unit in judged], wanted)
    assert mean_ndcg(*rows)[0] < 0.5
    assert mean_ndcg(*rows, lambda row: hidden_of(data, judged, wanted, row))[0] == pytest.approx(1)
