"""A softmax over drawn candidates: the full one where the catalogue is small, and on average elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.training.data import TrainingData
from inference.training.sampled import CandidateSampler
from tests.support.learning import ITEMS


def test_a_small_catalogue_is_taken_whole():
    candidates = CandidateSampler(np.arange(20), 20).draw(np.random.default_rng(0), np.array([3]))
    assert candidates.items.tolist() == list(range(20))
    assert candidates.drawn.tolist() == [False] + [True] * 19  # nobody has liked the first
    assert not candidates.log_chance.any()
    assert candidates.barred_but(np.array([3])).sum() == 1


def test_the_corrected_sum_is_the_softmaxs_denominator_on_average():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=500)
    popularity = rng.integers(0, 50, 500)
    sampler = CandidateSampler(popularity, 100)
    sums = []
    for _ in range(2000):
        drawn = sampler.draw(rng, np.array([7]))
        terms = np.exp(scores[drawn.items] - drawn.log_chance)
        sums.append(terms[drawn.drawn].sum())
    error = np.std(sums) / len(sums) ** 0.5
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), abs=4 * error)


def test_a_target_that_was_not_drawn_is_a_candidate_for_its_own_unit_alone():
    popularity = np.zeros(1000)
    popularity[:10] = 1e6
    targets = np.array([900, 3])
    candidates = CandidateSampler(popularity, 50).draw(np.random.default_rng(0), targets)
    assert set(targets) <= set(candidates.items)
    assert len(candidates.items) <= 52
    barred = candidates.barred_but(targets)
    own, other = barred[:, candidates.places(np.array([900]))[0]]
    assert (own, other) == (False, True)


def test_two_towers_learn_by_a_sample_too():
    rng = np.random.default_rng(0)
    liked = [rng.permutation(10)[:6] + 10 * (unit % 4) for unit in range(60)]
    text = rng.normal(size=(len(ITEMS), 6)).astype(np.float32)
    data = TrainingData(ITEMS, text, liked)
    params = {
        "width": 8,
        "hidden": 8,
        "history": 6,
        "epochs": 30,
        "batch": 8,
        "rate": 1e-2,
        "cooccurrence": False,
        "candidates": 16,  # of 40
    }
    draft = RECOMMENDERS["two-tower"].fit(data, FitOptions(params=params))
    vectors, context = draft.arrays["item_vectors"], draft.arrays["context_vectors"]
    scores = context[[1, 2, 3]].mean(0) @ vectors.T + draft.arrays["bias"]
    assert scores[4:10].mean() > scores[10:].mean()
