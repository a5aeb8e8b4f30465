"""Interleaving without a preference: three versions, and a curve that is fitted to the swaps."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks import interleaving_null
from benchmarks.interleaved_slates import deal_sides, draft_slates, unit_scores
from benchmarks.interleaving_null import (
    TRUE_DECAY,
    decide_by_fitted_curve,
    decide_dealt,
    decide_pairs,
)
from benchmarks.interleaving_pairs import DECAY, K, World
from experiments.stats.examination import PRIOR_DECAY
from experiments.stats.interleaved_credit import credit_of

USERS, ITEMS, RUNS = 30, 60, 40
ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


@pytest.fixture(scope="module")
def world():
    """Three rankers, of which the first knows what users like; the others guess."""
    rng = np.random.default_rng(4)
    likes = rng.random((USERS, ITEMS)) < 0.2
    guesses = {name: rng.random((USERS, ITEMS)) for name in ("good", "guess", "other")}
    guesses["good"] -= 0.5 * likes
    return World({name: one.argsort(axis=1)[:, :K] for name, one in guesses.items()}, likes)


@pytest.fixture(scope="module")
def pair(world):
    return draft_slates(world, ("good", "guess"), drafts=2)


def test_a_preference_is_seen(pair):
    unit = unit_scores(pair, 4_000, np.random.default_rng(1))
    assert interleaving_null._decisions(unit).all()
    assert unit[:, 0, 0].mean() > 0.1


def test_scores_of_a_slate_are_those_of_its_credit(pair):
    slate = pair.drafted[3][1]
    for place in range(K):
        (credit,) = credit_of(slate, [place], decay=DECAY)
        assert pair.scores[0, 3, 1, place] == credit.score
        assert pair.teams[0, 3, 1, place] == credit.team


def test_sides_that_are_dealt_please_alike(world):
    dealt = deal_sides(world, ("good", "guess", "other"))
    assert len(dealt.likes) == 6 * USERS
    rates = [dealt.click_rates(one).sum() for one in dealt.rankings.values()]
    assert rates == pytest.approx([rates[0]] * 3)
    slates = draft_slates(dealt, ("side 1", "side 2", "side 0"), drafts=1)
    assert slates.versions == 2
    unit = unit_scores(slates, 20_000, np.random.default_rng(2))[..., 0]
    error = unit.std(axis=0) / math.sqrt(len(unit))
    assert (np.abs(unit.mean(axis=0)) < 5 * error).all()


def test_three_versions_decide_no_more_often_than_alpha(world):
    dealt = deal_sides(world, ("good", "guess", "other"))
    slates = draft_slates(dealt, ("side 1", "side 2", "side 0"), drafts=1)
    decided = decide_dealt(slates, np.random.default_rng(3), runs=RUNS)
    assert max(decided.bet, decided.mixture) <= ALLOWED
    assert decided.peeked > ALLOWED


def test_two_versions_decide_no_more_often_than_alpha(pair):
    decided = decide_pairs(pair, np.random.default_rng(5), runs=RUNS)
    assert max(decided.bet, decided.mixture) <= ALLOWED
    assert decided.peeked > ALLOWED


def test_a_fitted_curve_decides_no_more_often_than_alpha(world):
    # Enough drafts that each item has stood in both places of its rounds.
    slates = draft_slates(world, ("good", "guess"), drafts=20)
    decided = decide_by_fitted_curve(slates, np.random.default_rng(6), runs=RUNS)
    assert max(decided.bet, decided.mixture) <= ALLOWED
    rows = decided.rows("a fitted curve")
    assert json.loads(json.dumps([asdict(row) for row in rows]))[0]["met"] is True
    # The swaps have moved the curve from the prior to that of the world.
    assert PRIOR_DECAY + 0.25 < decided.decay == pytest.approx(TRUE_DECAY, abs=0.15)


def test_a_world_that_fades_faster_has_fewer_clicks_below_the_first_place(pair):
    faster = pair.seen_by(TRUE_DECAY)
    assert faster.rates[..., 0] == pytest.approx(pair.rates[..., 0])
    assert faster.rates[..., K - 1] == pytest.approx(pair.rates[..., K - 1] * K ** (DECAY - TRUE_DECAY))


def test_rows_hold_the_bet_and_the_mixture_to_alpha():
    decided = interleaving_null.Decided(0.02, 0.2, 0.4, 100)
    bet, mixture, peeked = decided.rows("no preference")
    assert (bet.met, mixture.met, peeked.met) == (True, False, None)
    assert bet.target == "ours <= 0.1154"
