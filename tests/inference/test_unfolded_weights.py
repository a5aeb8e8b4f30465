"""Weights of a policy's rows by what they are of: they say what rows and weights say."""

from __future__ import annotations

import numpy as np
import pytest

from inference.serving.action_features import Columns, FeatureSpace
from inference.serving.action_set import ActionSet


@pytest.mark.parametrize(
    ("contexts", "words"),
    [(2, 0), (20, 0), (20, 2), (0, 2)],
    ids=["own", "sums", "texts", "no context"],
)
def test_weights_by_what_they_are_of_say_what_those_of_rows_say(contexts, words):
    rng = np.random.default_rng(5)
    numbers = {f"x{n}": (0.5, 2.0) for n in range(30)}
    space = FeatureSpace(
        Columns(numbers, {"brand": ("a", "b")} if words else {}),
        Columns({f"c{n}": (0.0, 1.0) for n in range(contexts)}, {"day": ("mo", "tu")} if words else {}),
    )
    assert (space.products is not None) == (contexts == 20)
    values = rng.normal(size=(7, 31))
    values[2, 3] = np.nan
    actions = ActionSet(
        [str(n) for n in range(7)], (*numbers, "unknown"), values,
        {"brand": ["a", "b", None, "c", "a", "a", "b"]} if words else {},
        {f"c{n}": float(rng.normal()) for n in range(contexts)} | {"day": "tu"},
    )  # fmt: skip
    weights = rng.normal(size=(space.size, 5))
    by_rows = space.rows_of(actions) @ weights.astype(np.float32)
    assert space.times(space.unfold(weights), actions) == pytest.approx(by_rows, abs=1e-3)


def test_weights_that_would_fill_the_memory_are_left_as_they_are():
    names = {f"x{n}": (0.0, 1.0) for n in range(200)}
    space = FeatureSpace(Columns(names, {}), Columns(names, {}))
    assert space.unfold(np.zeros((space.size, space.size))) is None
