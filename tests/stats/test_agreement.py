"""Agreement of two raters: textbook values, and what chance gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.stats.agreement import Agreement, measure_agreement


def pairs_of(table):
    return [pair for pair, count in table.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        # Textbook tables: two readers of 50 grant proposals, and two tables of equal agreement.
        ({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}, 0.4),
        ({("y", "y"): 45, ("y", "n"): 15, ("n", "y"): 25, ("n", "n"): 15}, 0.1304),
        ({("y", "y"): 25, ("y", "n"): 35, ("n", "y"): 5, ("n", "n"): 35}, 0.2593),
    ],
)
def test_kappa_has_the_textbook_values(table, kappa):
    measured = measure_agreement(pairs_of(table))
    assert measured.kappa == pytest.approx(kappa, abs=5e-5)
    assert measured.pairs == sum(table.values())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_is_that_of_the_confusion_matrix(pairs):
    names = sorted({name for pair in pairs for name in pair})
    matrix = np.array([[pairs.count((a, b)) for b in names] for a in names]) / len(pairs)
    chance = float(matrix.sum(axis=1) @ matrix.sum(axis=0))
    measured = measure_agreement(pairs)
    assert measured.same == pytest.approx(np.trace(matrix))
    if len(names) == 1:
        assert measured.kappa is None
    else:
        assert measured.kappa == pytest.approx((np.trace(matrix) - chance) / (1 - chance))


def test_raters_who_guess_agree_by_chance_alone():
    rng = np.random.default_rng(1)
    guesses = rng.choice(["ok", "spam", "hidden"], p=[0.7, 0.2, 0.1], size=(20_000, 2))
    # The standard error of κ is about 0.007 here.
    assert measure_agreement([tuple(row) for row in guesses]).kappa == pytest.approx(0, abs=0.03)


def test_there_is_nothing_to_say_without_pairs_or_without_a_choice():
    assert measure_agreement([]) == Agreement(0, None, None)
    assert measure_agreement([("ok", "ok")] * 3) == Agreement(3, 1.0, None)
