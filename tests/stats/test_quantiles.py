"""Sketches against the values themselves, and the interval's coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.stats.effects import compare
from experiments.stats.quantiles import GAMMA, Sketch, bucket_of
from experiments.stats.totals import StatisticsError


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_buckets_are_in_the_order_of_their_values(a, b):
    assert (bucket_of(a) <= bucket_of(b)) or a > b


def test_a_quantile_is_within_a_bucket_of_the_values():
    values = np.concatenate([np.random.default_rng(1).lognormal(0, 2, 20_000), [-5.0, 0.0]])
    sketch = Sketch.of(values)
    for q in (0.05, 0.5, 0.95):
        assert sketch.quantile(q) == pytest.approx(np.quantile(values, q), rel=GAMMA - 1)
    assert (sketch.n, sketch.nonzero) == (20_002, 20_001)
    assert sketch.quantile(0) == pytest.approx(-5.0, rel=0.01)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.integers(1, 29))
def test_sketches_add_up_and_correct_by_difference(values, at):
    left, right = Sketch.of(values[:at]), Sketch.of(values[at:])
    assert (left + right).counts == Sketch.of(values).counts
    gone = {bucket: -count for bucket, count in right.counts.items()}
    rest = (Sketch.of(values) + Sketch(gone)).counts
    assert {bucket: n for bucket, n in rest.items() if n} == dict(left.counts)


def test_the_difference_of_quantiles_keeps_its_level():
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(800):
        sides = [Sketch.of(rng.lognormal(0, 1, 500)) for _ in range(2)]
        wrong += compare("quantile", *sides, quantile=0.75).p_value < 0.05
    assert 0.03 <= wrong / 800 <= 0.075


def test_a_shift_of_the_median_is_found():
    rng = np.random.default_rng(3)
    effect = compare(
        "quantile", Sketch.of(rng.normal(10, 1, 4000)), Sketch.of(rng.normal(10.3, 1, 4000))
    )
    assert effect.estimate == pytest.approx(0.3, abs=0.1)
    assert effect.p_value < 1e-6


@pytest.mark.parametrize(
    ("control", "quantile", "message"),
    [
        ([1.0, 2.0], 0.5, "units == 2, must be more than 4"),
        (list(range(100)), 0.99, "must be more than 381"),
        (list(range(100)), 1e-320, "must be more than inf"),
        (list(range(100)), 1.5, r"quantile == 1.5, must be in \(0, 1\)"),
        ([], 0.5, "units == 0"),
    ],
)
def test_it_says_what_is_missing(control, quantile, message):
    with pytest.raises(StatisticsError, match=message):
        compare("quantile", Sketch.of(control), Sketch.of(range(900)), quantile=quantile)
