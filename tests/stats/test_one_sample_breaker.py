"""The watch of a refit: one share against a frozen bound, asked after every user."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.stats.one_sample_breaker import highest_share, log_e_share
from experiments.stats.totals import StatisticsError


def first_bound_events(units: int, bound: float, log_bound: float) -> np.ndarray:
    """For each number of units, how many events reach the bound; units + 1 where none do."""
    evidence = [
        next((k for k in range(n + 1) if log_e_share(k, n, bound=bound) >= log_bound), n + 1)
        for n in range(1, units + 1)
    ]
    return np.array(evidence)


def test_a_share_at_its_bound_hardly_ever_trips():
    bound, alpha, runs, units = 0.05, 0.05, 2_000, 150
    needed = first_bound_events(units, bound, math.log(1 / alpha))
    events = (np.random.default_rng(1).random((runs, units)) < bound).cumsum(axis=1)
    tripped = (events >= needed).any(axis=1).mean()
    assert 0 < tripped <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def test_a_model_that_fails_everything_trips_within_a_few_users():
    bound = highest_share(20, 2_000, margin=0.2, floor=0.005)
    trip = next(n for n in range(1, 50) if log_e_share(n, n, bound=bound) >= math.log(3 / 0.001))
    assert trip <= 3


def test_a_bound_of_few_users_is_wide():
    assert highest_share(0, 0, margin=0.2, floor=0.005) == pytest.approx(0.605)
    assert highest_share(0, 998, margin=0.2, floor=0.005) == pytest.approx(0.0062)


@pytest.mark.parametrize(("events", "units", "bound"), [(1, 2, 0.0), (1, 2, 1.0), (3, 2, 0.1)])
def test_what_is_out_of_range_is_refused(events, units, bound):
    with pytest.raises(StatisticsError, match="must be in"):
        log_e_share(events, units, bound=bound)
