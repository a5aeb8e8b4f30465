"""The screening of a simulated year: drawn as the benchmark measured, judged by the product."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.simulation.screening import (
    CLOSE,
    FAR,
    SCORE_BIN,
    TAKES_SIDE,
    UNRELIABLE,
    draw_candidate,
    draw_pair,
    screen_challengers,
)
from experiments.simulation.settings import YearSettings
from experiments.simulation.year import Challenger, Year
from experiments.stats.interleaving import BINS, UnitScores, prefer
from experiments.stats.interleaving_power import TIMES_CLOSE

Z = 1.959964 + 0.841621


def year_of(*challengers: Challenger, seed: int = 1, **settings) -> Year:
    return Year(YearSettings(**settings), challengers, np.random.default_rng(seed))


def screen(*gains, seed=1, **settings):
    challengers = [Challenger(n, 0, gain) for n, gain in enumerate(gains)]
    year = year_of(*challengers, seed=seed, **settings)
    return year, screen_challengers(year, challengers, planned_units=20_000)


def test_the_best_of_the_newest_three_goes_on_as_soon_as_users_prefer_it():
    year, going = screen(0.9, 0.0, 0.6, -0.4)
    assert going.number == 2
    assert (year.day, year.record.screened, year.record.tests) == (1, 3, 0)


def test_a_worse_one_is_rejected_and_nothing_goes_on():
    year, going = screen(-0.5)
    assert going is None
    assert year.day == 1
    # Half of each list is the challenger's own, for the hours until the bet decides.
    assert 0 < year.record.worse_user_days < 20_000 / 7 / 2


def test_after_two_days_without_a_verdict_what_looks_better_goes_on():
    days, ends = set(), {True: 0, False: 0}
    for seed in range(60):
        year, going = screen(0.03, seed=seed)
        days.add(year.day)
        ends[going is not None] += 1
    assert days >= {2}
    assert ends[True] > 2 * ends[False] > 0


def test_a_year_that_ends_ends_the_screening():
    challenger = Challenger(0, 0, 0.03)
    year = year_of(challenger, weeks=1, significant_weeks=1.0, valuable_weeks=1.0)
    year.day = 6
    assert screen_challengers(year, [challenger], planned_units=20_000) is None
    assert year.is_over


def test_nothing_is_preferred_more_often_than_alpha_without_a_difference():
    """Two days of users by the hour, three candidates that are the champion: who is preferred, falsely?"""
    runs, decided = 120, 0
    for seed in range(runs):
        year, _ = screen(0.0, 0.0, 0.0, seed=seed)
        decided += year.day < 2
    assert decided / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(("size", "pairs"), [(0.005, UNRELIABLE), (0.05, CLOSE), (0.3, FAR)])
def test_pairs_are_drawn_by_the_size_of_the_lift(size, pairs):
    rng = np.random.default_rng(2)
    for lift in (size, -size):
        assert {draw_pair(lift, rng) for _ in range(600)} == set(pairs)


def test_the_pairs_are_those_of_the_benchmark():
    assert np.median([one.times for one in CLOSE]) == pytest.approx(TIMES_CLOSE, abs=0.1)
    assert all(one.agrees for one in (*CLOSE, *FAR))
    assert {one.agrees for one in UNRELIABLE} == {True, False}


def test_below_two_percent_the_sign_is_that_of_an_ab_in_four_of_six():
    year = year_of(seed=3)
    better = Challenger(0, 0, 0.01)
    leaning = [draw_candidate(year, better).chances for _ in range(600)]
    agrees = np.mean([wins > losses for losses, _, wins in leaning])
    assert agrees == pytest.approx(4 / 6, abs=0.06)


def test_a_candidate_needs_the_users_that_its_pair_was_measured_to_need():
    """The moments of a user's score give back the ratio of an A/B's users to interleaving's."""
    for gain, pairs in ((0.05, CLOSE), (-0.3, FAR)):
        year = year_of(seed=4)
        lift, rate = math.expm1(gain), year.rate()
        losses, ties, wins = draw_candidate(year, Challenger(0, 0, gain)).chances
        mean, square = wins - losses, wins + losses
        assert square == pytest.approx(TAKES_SIDE)
        assert losses + ties + wins == pytest.approx(1)
        users = Z**2 * (square - mean**2) / mean**2
        ab = 4 * Z**2 * (1 - rate) / (rate * lift**2)
        assert ab / users in [pytest.approx(one.times, rel=1e-6) for one in pairs]
        assert math.copysign(1, mean) == math.copysign(1, gain)


def test_half_as_telling_users_are_twice_as_many():
    plain, half = (
        draw_candidate(year_of(seed=5, interleaving=one), Challenger(0, 0, 0.05)).chances
        for one in (1.0, 0.5)
    )
    lean = [wins - losses for losses, _, wins in (plain, half)]
    assert lean[0] / lean[1] == pytest.approx(math.sqrt(2), rel=0.01)


def test_what_is_judged_is_the_products_bet():
    losses, wins = 900, 1100
    scores = UnitScores("treatment-0", {-SCORE_BIN: losses, 0: 2000, SCORE_BIN: wins}, wins, losses)
    one = prefer(scores, alpha=0.05)
    assert one.decides
    assert one.preference == pytest.approx(5 * SCORE_BIN / BINS * 200 / 4000)
