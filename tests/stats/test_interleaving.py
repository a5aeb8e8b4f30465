"""Credit, curve and tests of interleaving: sums over all coins, SciPy and simulations are the oracles."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from experiments.stats.examination import PRIOR_DECAY, examination, fit_decay
from experiments.stats.interleaved_credit import (
    DraftedSlate,
    SwapClicks,
    credit_of,
    dealt_rounds,
    expected_examination,
)
from experiments.stats.interleaving import (
    BINS,
    MAX_SCORE,
    InterleavedInput,
    UnitScores,
    bin_of,
    log_e_mean,
    prefer,
)
from experiments.stats.interleaving_power import interleaved_users
from experiments.stats.preference import log_e_sign
from experiments.stats.totals import StatisticsError

DECAY = 0.7
# Two lists of five, by the items' ranks: a b c d e, and b a f c g.
ITEMS = {"a": (1, 2), "b": (2, 1), "c": (3, 4), "d": (4, 0), "e": (5, 0), "f": (0, 3), "g": (0, 5)}


def drafts(items, k):
    """Return every draft with its probability: a slate of names, and its teams."""
    teams = len(next(iter(items.values())))
    lists = [
        sorted((n for n in items if items[n][t]), key=lambda name: items[name][t]) for t in range(teams)
    ]
    orders = list(permutations(range(teams)))
    states = [((), (), 1.0)]
    while len(states[0][0]) < k:
        after = []
        for names, picked, chance in states:
            for order in orders:
                mine, by = list(names), list(picked)
                for team in order:
                    item = next((n for n in lists[team] if n not in mine), None)
                    if item is not None and len(mine) < k:
                        mine.append(item)
                        by.append(team)
                after.append((tuple(mine), tuple(by), chance / len(orders)))
        states = after
    return states


def slate_of(names, teams, items=ITEMS):
    return DraftedSlate(
        tuple(teams),
        tuple(items[n] for n in names),
        tuple(ranks for n, ranks in items.items() if n not in names),
    )


def test_expected_examination_is_the_sum_over_all_coins():
    every = drafts(ITEMS, 5)
    names, teams, _ = every[0]
    expected = expected_examination(slate_of(names, teams), decay=DECAY)
    for item, ranks in ITEMS.items():
        by_hand = sum(
            chance * examination(slate.index(item) + 1, DECAY)
            for slate, _, chance in every
            if item in slate
        )
        assert expected.get(ranks, 0.0) == pytest.approx(by_hand)


def test_the_mean_credit_is_the_difference_of_the_two_lists():
    """Over all coins, a score is what an A/B of the two lists would have found, click for click."""
    worth = {"a": 0.5, "b": 0.2, "c": 0.4, "d": 0.3, "e": 0.1, "f": 0.6, "g": 0.2}
    score = control = 0.0
    for names, teams, chance in drafts(ITEMS, 5):
        slate = slate_of(names, teams)
        for place, name in enumerate(names):
            (credit,) = credit_of(slate, [place], decay=DECAY)
            clicks = worth[name] * examination(place + 1, DECAY)
            score += chance * clicks * credit.score
            control += chance * clicks * credit.control
    # The last of one list alone is in no draft: the coins never show it, so it counts for nobody.
    shown = {name for names, _, _ in drafts(ITEMS, 5) for name in names}
    assert shown == set(ITEMS) - {"e"}
    lists = [sum(worth[n] * examination(ITEMS[n][v], DECAY) for n in shown) for v in (0, 1)]
    assert score == pytest.approx(lists[1] - lists[0])
    assert control == pytest.approx(lists[0])


def test_team_credit_leaves_common_first_places_to_nobody():
    items = {"a": (1, 1), "b": (2, 2), "c": (3, 4), "d": (4, 3), "e": (0, 5)}
    slate = slate_of(("a", "b", "d", "c"), (0, 1, 1, 0), items)
    assert slate.common_places == 2
    assert [credit_of(slate, [place], decay=DECAY)[0].team for place in range(4)] == [0, 0, 1, -1]


def test_of_three_versions_each_is_compared_with_the_control():
    items = {"a": (1, 3, 0), "b": (2, 0, 1), "c": (3, 1, 2), "d": (0, 2, 3)}
    slate = slate_of(("a", "c", "b"), (0, 1, 2), items)
    first, second = credit_of(slate, [1], decay=DECAY)
    assert first.score > second.score > 0  # c is first in one and second in the other
    assert (first.team, second.team) == (1, 0)
    assert credit_of(slate, [0], decay=DECAY)[1].team == -1


def test_a_slate_of_equal_lists_says_nothing():
    items = {name: (n, n) for n, name in enumerate("abcd", start=1)}
    slate = slate_of(tuple("abcd"), (0, 1, 1, 0), items)
    assert credit_of(slate, [0, 1, 2, 3], decay=DECAY)[0][::2] == (0.0, 0)
    assert dealt_rounds(slate) == []


def test_dealt_rounds_are_those_in_which_teams_wanted_different_items():
    slate = slate_of(("b", "a", "c", "f"), (1, 0, 0, 1))
    assert dealt_rounds(slate) == [(0, 2), (2, 4)]


@pytest.mark.parametrize("decay", [0.0, 0.4, 1.0])
def test_swaps_show_the_curve(decay):
    rng = np.random.default_rng(4)
    swaps = {}
    for start in range(1, 10, 2):
        chances = np.array([examination(start, decay), examination(start + 1, decay)])
        swaps[start, start + 1] = rng.multinomial(20_000, chances / chances.sum()).tolist()
    assert fit_decay(swaps) == pytest.approx(decay, abs=0.03)


def test_without_swaps_the_curve_is_the_priors():
    assert fit_decay({}) == PRIOR_DECAY
    with pytest.raises(StatisticsError, match=r"clicks == \[3\], must be one count per place of"):
        fit_decay({(1, 2): [3]})


def test_swaps_count_clicks_of_dealt_rounds_by_place():
    swaps = SwapClicks()
    slate = slate_of(("b", "a", "c", "f"), (1, 0, 0, 1))
    swaps.add(slate, [0])
    swaps.add(slate, [0, 3])
    assert swaps.clicks == {(1, 2): [2, 0], (3, 4): [0, 1]}


def scores(bins, **more):
    return UnitScores("treatment", bins, **more)


def test_verdict_interval_and_p_value_are_one():
    rng = np.random.default_rng(11)
    decided = 0
    for shift in np.linspace(-0.6, 0.6, 25):
        values = rng.normal(shift, 1.5, 250)
        counts: dict[int, int] = {}
        for value in values:
            counts[bin_of(value)] = counts.get(bin_of(value), 0) + 1
        result = prefer(scores(counts), alpha=0.05)
        low, high = result.interval
        assert low <= result.preference <= high
        assert result.decides == (low > 0 or high < 0) == (result.p_value <= 0.05)
        decided += result.decides
    assert 5 < decided < 25


def test_the_capital_is_the_product_of_the_stakes():
    values, counts = np.array([-0.5, 0.0, 1.0]), np.array([3.0, 10.0, 4.0])
    stakes = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95, 0.99)
    by_hand = np.mean([(1 + s * 1.0) ** 4 * (1 - s * 0.5) ** 3 for x in stakes for s in (x, -x)])
    assert log_e_mean(values, counts, mean=0.0) == pytest.approx(math.log(by_hand))


def test_the_mixture_of_signs_is_scipys():
    for wins, losses in ((60, 40), (3, 4), (0, 31), (0, 0)):
        both = wins + losses
        oracle = stats.betabinom.logpmf(wins, both, 20, 20) - stats.binom.logpmf(wins, both, 0.5)
        assert log_e_sign(wins, losses) == pytest.approx(oracle, abs=1e-9)


def test_a_check_that_decides_for_the_other_side_objects():
    bins = {0: 200, BINS: 120, -BINS: 20}
    agreeing = prefer(scores(bins, wins=120, losses=20), alpha=0.05)
    assert agreeing.prefers_version
    objecting = prefer(scores(bins, wins=20, losses=120), alpha=0.05)
    assert objecting.decides
    assert objecting.check_objects
    assert not objecting.prefers_version
    assert not objecting.prefers_control


def test_small_lifts_are_called_unreliable():
    small = prefer(scores({1: 10}, score=1.0, control=100.0), alpha=0.05)
    large = prefer(scores({1: 10}, score=2.0, control=100.0), alpha=0.05)
    assert (small.is_reliable, large.is_reliable) == (False, True)


@pytest.mark.parametrize("side", [1, -1])
def test_nothing_is_shipped_that_lowers_all_clicks_though_most_users_prefer_it(side):
    agreed = prefer(scores({side * 20: 500}, score=side * 30.0, control=1_000.0), alpha=0.05)
    opposed = prefer(scores({side * 20: 500}, score=side * -30.0, control=1_000.0), alpha=0.05)
    close = prefer(scores({side * 20: 500}, score=side * -10.0, control=1_000.0), alpha=0.05)
    assert [one.decides for one in (agreed, opposed, close)] == [True] * 3
    assert [one.is_contradicted for one in (agreed, opposed, close)] == [False, True, False]
    assert (agreed.prefers_version, agreed.prefers_control) == (side > 0, side < 0)
    assert (opposed.prefers_version, opposed.prefers_control) == (False, False)


def test_a_score_is_bounded():
    assert bin_of(2.0) == round(2 / MAX_SCORE * BINS)
    assert bin_of(-60.0) == bin_of(-5.0) == -BINS
    assert prefer(scores({}), alpha=0.05).lift is None


def test_nobody_yet():
    nobody = prefer(scores({}), alpha=0.05)
    assert (nobody.units, nobody.interval, nobody.p_value) == (0, (-5.0, 5.0), 1.0)
    with pytest.raises(StatisticsError, match=r"alpha == 1, must be in \(0, 1\)"):
        prefer(scores({}), alpha=1.0)
    with pytest.raises(StatisticsError, match=r"must be in \[-200, 200\]"):
        prefer(scores({201: 1}), alpha=0.05)


def test_a_plan_goes_by_how_close_the_versions_are():
    assert interleaved_users(40_000, 0.05) == 3978  # 40,000 / 17.7 × 1.76, rounded up
    assert interleaved_users(40_000, -0.2) == 7334  # / 9.6 × 1.76
    assert interleaved_users(40_000, 0.019) is None
    assert interleaved_users(40_000, None) is None


def test_what_a_look_reads_survives_its_stored_form():
    inputs = InterleavedInput(
        [scores({-3: 2, 7: 1}, wins=1, losses=2)], slates=9, failed={"b": 1}, decay=0.4
    )
    stored = inputs.as_json()
    assert InterleavedInput.from_json(stored) == inputs
    # Names that an older version reads, and what it wrote.
    assert set(stored) == {"scores", "slates", "failed", "is_last", "decay"}
    old = stored | {"failed": 2}
    assert InterleavedInput.from_json(old).as_json() == old


def test_without_a_preference_a_hundred_looks_decide_as_rarely_as_they_must():
    """A/A: heavy-tailed units whose sides a coin swaps; α = .05, three standard errors of 800 runs."""
    rng = np.random.default_rng(7)
    runs, units = 800, 1000
    wrong = signs = 0
    for _ in range(runs):
        sessions = np.clip(np.exp(rng.normal(0.9, 1.2, units)), 1, 60)
        y = rng.normal(0, 1, units) * np.sqrt(sessions) * rng.choice([-1, 1], units)
        bounded = np.round(np.clip(y / 5, -1, 1) * BINS) / BINS
        stakes = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95, 0.99])
        grown = np.log1p(np.outer(np.concatenate([-stakes, stakes]), bounded)).cumsum(axis=1)[:, 9::10]
        wrong += bool((np.exp(grown).mean(axis=0) >= 20).any())
        wins = (y > 0).cumsum()[9::10]
        looks = zip(wins.tolist(), range(10, units + 1, 10), strict=True)
        signs += any(log_e_sign(won, n - won) >= math.log(20) for won, n in looks)
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert wrong / runs <= allowed
    assert signs / runs <= allowed
