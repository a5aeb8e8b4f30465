"""Agreement of two raters: textbook values, and what chance gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.stats.agreement import (
    Agreement,
    ScaleAgreement,
    measure_agreement,
    measure_scale_agreement,
)
from experiments.stats.totals import StatisticsError


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


def rated(units: int, points: int, *, answers: int = 1, seed: int = 1):
    """Ratings of two raters who share a leaning per unit, and the unit of each pair."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), answers)
    leaning = rng.standard_normal(units)[unit]
    first, second = (
        np.clip(np.round((leaning + rng.standard_normal(unit.size)) + points / 2), 0, points - 1)
        for _ in range(2)
    )
    return first.astype(int), second.astype(int), unit


@pytest.mark.parametrize("points", [2, 5])
def test_kappa_of_a_scale_is_scikit_learns(points):
    from sklearn.metrics import cohen_kappa_score

    first, second, unit = rated(300, points)
    measured = measure_scale_agreement(first, second, unit=unit, points=points)
    assert measured.kappa == pytest.approx(cohen_kappa_score(first, second, weights="quadratic"))
    assert measured.same == pytest.approx((first == second).mean())
    if points == 2:
        plain = measure_agreement(list(zip(map(str, first), map(str, second), strict=True)))
        assert measured.kappa == pytest.approx(plain.kappa)


def test_interval_of_kappa_is_the_large_sample_formula():
    """Fleiss, Cohen, Everitt (1969), with the weights 1 and 0 of two categories."""
    first, second, unit = rated(4_000, 2)
    p = np.array([[((first == a) & (second == b)).mean() for b in (0, 1)] for a in (0, 1)])
    agree, chance = np.trace(p), float(p.sum(axis=1) @ p.sum(axis=0))
    total = 0.0
    for a in (0, 1):
        for b in (0, 1):
            margin = p[:, a].sum() + p[b].sum()
            total += p[a, b] * ((a == b) * (1 - chance) - margin * (1 - agree)) ** 2
    variance = (total - (agree * chance - 2 * chance + agree) ** 2) / (1 - chance) ** 4 / 4_000
    measured = measure_scale_agreement(first, second, unit=unit, points=2)
    low, high = measured.interval
    assert (high - low) / 2 == pytest.approx(1.959964 * variance**0.5, rel=0.01)


def test_answers_of_one_unit_make_the_interval_of_kappa_wider():
    first, second, unit = rated(200, 3, answers=5)
    clustered = measure_scale_agreement(first, second, unit=unit, points=3).interval
    apart = measure_scale_agreement(first, second, unit=np.arange(first.size), points=3).interval
    assert clustered[1] - clustered[0] > 1.1 * (apart[1] - apart[0])


def test_no_pairs_one_point_one_unit_and_ratings_off_the_scale():
    none = np.array([], dtype=int)
    assert measure_scale_agreement(none, none, unit=none, points=5) == ScaleAgreement(
        0, None, None, None
    )
    ones = np.ones(4, dtype=int)
    assert measure_scale_agreement(ones, ones, unit=np.arange(4), points=5) == ScaleAgreement(
        4, 1.0, None, None
    )
    mixed = np.array([0, 1, 2, 3])
    single = measure_scale_agreement(mixed, mixed, unit=ones, points=5)
    assert (single.kappa, single.interval) == (1.0, None)
    with pytest.raises(StatisticsError, match=r"ratings == 0 to 3, must be in \[0, 1\]"):
        measure_scale_agreement(mixed, mixed, unit=mixed, points=2)
    with pytest.raises(StatisticsError, match="points == 1, must be at least 2"):
        measure_scale_agreement(mixed, mixed, unit=mixed, points=1)
