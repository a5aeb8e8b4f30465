"""Vectors of what is liked together: exact, repeatable, and nothing where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from inference.training.cooccurrence import cooccurrence_vectors
from inference.training.data import TrainingData
from tests.support.learning import ITEMS


def test_own_vectors_start_from_what_is_liked_together():
    rng = np.random.default_rng(0)
    liked = [np.unique(rng.integers(0, 10, 6) + 10 * (unit % 2)) for unit in range(60)]
    data = TrainingData(ITEMS, None, liked)
    vectors = cooccurrence_vectors(data, 8)
    assert np.array_equal(vectors, cooccurrence_vectors(data, 8))
    assert not vectors[20:].any()  # of what nobody liked nothing is known
    table = np.zeros((60, len(ITEMS)), np.float32)
    for unit, items in enumerate(liked):
        table[unit, items] = 1.0
    scaled = table * (table.sum(0) + 10.0) ** -0.25
    _, sizes, right = np.linalg.svd(scaled, full_matrices=False)
    theirs = (right[:8].T * sizes[:8] ** 2) @ right[:8]
    assert vectors @ vectors.T == pytest.approx(theirs, abs=1e-2)
    few = cooccurrence_vectors(TrainingData(ITEMS, None, liked[:2]), 8)
    assert few.shape == (len(ITEMS), 8)
    assert not few[:, 2:].any()
