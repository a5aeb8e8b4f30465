"""Does the effect of one treatment depend on another experiment's? The contrast of four cells.

With ȳ_ab the mean of the units that have treatment or control (t, c) of the first experiment and of
the other, the contrast (ȳ_tt − ȳ_ct) − (ȳ_tc − ȳ_cc) is 0 when effects add up; its standard error is
Welch's, √(Σ s² / n) over the four cells.

Assumptions: units are independent, each is in one cell, and cells are large enough for the central
limit theorem (`MIN_UNITS`).

Reference:
    Kohavi, Tang, Xu (2020), Trustworthy Online Controlled Experiments, chapter 4 (interactions).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from experiments.stats.effects import critical_value
from experiments.stats.totals import StatisticsError

MIN_UNITS = 50  # in each of the four cells


class Cell(NamedTuple):
    """Units with one variant of each experiment.

    Attributes:
        n: units.
        mean: of their values.
        variance: sample variance of their values.
    """

    n: int
    mean: float
    variance: float


class Contrast(NamedTuple):
    """How much an effect differs between another experiment's treatment and its control.

    Attributes:
        estimate: in the metric's unit.
        interval: at the given level, for this contrast alone.
        p_value: two-sided, for this contrast alone.
    """

    estimate: float
    interval: tuple[float, float]
    p_value: float


def contrast_of(tt: Cell, ct: Cell, tc: Cell, cc: Cell, *, alpha: float = 0.05) -> Contrast:
    """Return the contrast of four cells, named by variant of the first and of the other experiment.

    Raises:
        StatisticsError: a cell has fewer than `MIN_UNITS` units, or alpha lies outside (0, 1).
    """
    cells = (tt, ct, tc, cc)
    if (n := min(cell.n for cell in cells)) < MIN_UNITS:
        raise StatisticsError(f"units of a cell == {n}, must be at least {MIN_UNITS}.")
    estimate = (tt.mean - ct.mean) - (tc.mean - cc.mean)
    error = math.sqrt(sum(cell.variance / cell.n for cell in cells))
    half = critical_value(alpha) * error
    # Cells of one value each have no error: nothing can be said against "effects add up".
    p_value = math.erfc(abs(estimate) / error / math.sqrt(2)) if error > 0 else 1.0
    return Contrast(estimate, (estimate - half, estimate + half), p_value)
