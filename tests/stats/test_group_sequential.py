"""Bounds against published constants (Jennison & Turnbull 2000) and the gsDesign package's figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.group_sequential import (
    SequentialState,
    bounds_at,
    conditional_power,
    spend_obrien_fleming,
    spend_pocock,
    take_step,
)
from experiments.stats.totals import StatisticsError


def test_bounds_are_the_published_ones():
    assert bounds_at([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05) == pytest.approx(
        [4.876884949, 3.357011952, 2.680280025, 2.289816707, 2.031031967], rel=2e-5
    )


def test_pocock_bounds_are_the_published_ones():
    bounds = bounds_at([1 / 3, 2 / 3, 1.0], alpha=0.05, spending=spend_pocock)
    assert bounds == pytest.approx([2.279428238, 2.294911115, 2.295938319], rel=2e-5)


def test_bounds_at_irregular_looks():
    assert bounds_at([0.13, 0.37, 0.52, 0.81, 1.0], alpha=0.05) == pytest.approx(
        [6.106794278, 3.504371600, 2.910092856, 2.252583851, 2.031389484], rel=2e-5
    )


def test_state_survives_json():
    state = take_step(SequentialState(), 0.3, alpha=0.05)
    again = SequentialState.from_json(state.as_json())
    assert take_step(again, 0.6, alpha=0.05) == take_step(state, 0.6, alpha=0.05)
    assert SequentialState.from_json({}) == SequentialState()


def test_the_last_look_spends_what_is_left_however_small_its_step():
    state = take_step(SequentialState(), 0.998, alpha=0.05)
    last = take_step(state, 1.0, alpha=0.05)
    assert last.spent == pytest.approx(0.05)
    assert 1.9 < last.bound < 2.4


def test_a_look_without_news_spends_nothing():
    state = take_step(SequentialState(), 0.5, alpha=0.05)
    assert take_step(state, 0.501, alpha=0.05) is state


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12, unique=True))
def test_spent_alpha_is_what_the_function_says(times):
    state = SequentialState()
    for t in sorted(times):
        state = take_step(state, t, alpha=0.05)
    assert state.spent == pytest.approx(spend_obrien_fleming(0.05, state.t))


def test_false_positives_stay_at_alpha_under_many_looks():
    """4,000 A/A paths with 50 looks each: the rate lies in the binomial range around .05."""
    rng = np.random.default_rng(20)
    looks = np.arange(1, 51) / 50
    bounds = np.array(bounds_at(looks.tolist(), alpha=0.05))
    paths = np.cumsum(rng.normal(scale=math.sqrt(1 / 50), size=(4000, 50)), axis=1)
    crossed = (np.abs(paths / np.sqrt(looks)) >= bounds).any(axis=1).mean()
    assert 0.039 <= crossed <= 0.062


@pytest.mark.parametrize(("t", "alpha"), [(0.0, 0.05), (math.inf, 0.05), (0.5, 0.0), (0.5, 1.0)])
def test_it_refuses_impossible_looks(t, alpha):
    with pytest.raises(StatisticsError, match="must be"):
        take_step(SequentialState(), t, alpha=alpha)


def test_it_refuses_lost_information():
    state = take_step(SequentialState(), 0.5, alpha=0.05)
    with pytest.raises(StatisticsError, match="cannot shrink"):
        take_step(state, 0.4, alpha=0.05)


def test_conditional_power_agrees_with_simulation():
    rng = np.random.default_rng(3)
    end = 1.2 * math.sqrt(0.4) + 2.8 * 0.6 + rng.normal(scale=math.sqrt(0.6), size=200_000)
    expected = conditional_power(1.2, 0.4, drift=2.8, final_bound=2.03)
    assert (end > 2.03).mean() == pytest.approx(expected, abs=0.005)
