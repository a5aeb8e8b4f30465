"""The win rate of pairs: SciPy's exact binomial test and closed forms are the oracle."""

from __future__ import annotations

import pytest
from scipy import stats

from experiments.stats.preference import win_rate


def answers(wins: int, losses: int, ties: int) -> list[float]:
    return [1.0] * wins + [0.0] * losses + [0.5] * ties


@pytest.mark.parametrize("ties", [0, 1, 90])
def test_ties_change_neither_the_rate_nor_its_certainty(ties):
    """Nine of nine decide for the treatment: as coins, ninety ties would make nothing of it."""
    rate = win_rate(answers(9, 0, ties))
    assert (rate.units, rate.wins, rate.losses, rate.ties) == (9 + ties, 9, 0, ties)
    assert rate.rate == 1.0
    assert rate.interval == pytest.approx((0.025 ** (1 / 9), 1.0))
    assert rate.p_value == pytest.approx(2 / 2**9)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_test_and_interval_are_the_exact_binomials_and_agree(alpha):
    for wins in range(0, 26, 1):
        for losses in range(1, 26, 3):
            rate = win_rate(answers(wins, losses, 7), alpha=alpha)
            exact = stats.binomtest(wins, wins + losses)
            low, high = rate.interval
            assert (low, high) == pytest.approx(tuple(exact.proportion_ci(1 - alpha, "exact")))
            assert rate.p_value == pytest.approx(exact.pvalue)
            assert (rate.p_value <= alpha) == (low > 0.5 or high < 0.5)


def test_nobody_decided():
    rate = win_rate(answers(0, 0, 3))
    assert (rate.ties, rate.rate, rate.interval, rate.p_value) == (3, None, (0.0, 1.0), 1.0)


def test_a_unit_that_answered_often_is_one_by_its_mean():
    rate = win_rate([2 / 3, 0.1 + 0.2 + 0.2, 0.0, 0.75])
    assert (rate.wins, rate.losses, rate.ties) == (2, 1, 1)
