"""The contrast of four cells, against a regression with an interaction term and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.stats.interaction import MIN_UNITS, Cell, contrast_of
from experiments.stats.totals import StatisticsError


def cells(rng, interaction=0.0, n=400):
    """Return the cells tt, ct, tc, cc, and their values with the two indicators."""
    values = {}
    for a, b in ((1, 1), (0, 1), (1, 0), (0, 0)):
        values[a, b] = 5 + a + 0.5 * b + interaction * a * b + rng.normal(size=n) * (1 + a)
    return [Cell(n, y.mean(), y.var(ddof=1)) for y in values.values()], values


def test_the_estimate_is_a_regressions_coefficient():
    four, values = cells(np.random.default_rng(1), interaction=0.7)
    x = np.concatenate([np.tile([1, a, b, a * b], (len(y), 1)) for (a, b), y in values.items()])
    coefficients, *_ = np.linalg.lstsq(x, np.concatenate(list(values.values())), rcond=None)
    contrast = contrast_of(*four)
    assert contrast.estimate == pytest.approx(coefficients[3])
    assert contrast.interval[0] < 0.7 < contrast.interval[1]


def test_the_level_is_kept_where_effects_add_up():
    rng = np.random.default_rng(2)
    rejected = [contrast_of(*cells(rng)[0]).p_value <= 0.05 for _ in range(2000)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.015)


def test_cells_of_one_value_each_say_nothing():
    same = [Cell(100, mean, 0.0) for mean in (4.0, 1.0, 1.0, 1.0)]
    assert contrast_of(*same).p_value == 1.0


def test_small_cells_are_refused():
    small = Cell(MIN_UNITS - 1, 1.0, 1.0)
    with pytest.raises(StatisticsError, match="units of a cell == 49, must be at least 50"):
        contrast_of(Cell(100, 1.0, 1.0), Cell(100, 1.0, 1.0), small, Cell(100, 1.0, 1.0))
