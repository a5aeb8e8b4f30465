"""Projects that promote what wins, and whether the interval of their cumulative gain holds the truth.

The tests draw a few hundred, `make bench ONLY=statistics` thousands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.stats.cumulative_gain import Z95, LogGain, adjusted_sum, fit_prior

SPREADS, DECISIONS, MEANS = (0.01, 0.03, 0.06, 0.1), (5, 12, 30, 100), (0.0, -0.02)
ERRORS = (0.01, 0.04)  # standard errors of tests, uniform between these


@dataclass(frozen=True)
class GainCell:
    """What was seen over projects of one kind.

    Attributes:
        spread: standard deviation of true effects.
        mean: of true effects.
        decisions: tests of a project.
        projects: with at least one promotion.
        covered: share whose 95 % interval holds the true sum.
        bias: mean error of the sum.
        raw_bias: the same of the sum of estimates.
    """

    spread: float
    mean: float
    decisions: int
    projects: int
    covered: float
    bias: float
    raw_bias: float


def measure_gains(
    projects: int,
    *,
    spreads: tuple[float, ...] = SPREADS,
    decisions: tuple[int, ...] = DECISIONS,
    means: tuple[float, ...] = MEANS,
    seed: int = 1,
) -> list[GainCell]:
    """Draw projects of every kind; each promotes the tests whose z is above 1.96."""
    rng = np.random.default_rng(seed)
    return [
        _cell(projects, spread, mean, count, rng)
        for spread in spreads
        for mean in means
        for count in decisions
    ]


def _cell(
    projects: int, spread: float, mean: float, decisions: int, rng: np.random.Generator
) -> GainCell:
    rows = []
    while len(rows) < projects:
        errors = rng.uniform(*ERRORS, decisions)
        truth = rng.normal(mean, spread, decisions)
        estimates = truth + rng.normal(0, errors)
        won = np.flatnonzero(estimates > Z95 * errors)
        if not len(won):  # without a promotion there is no sum
            continue
        effects = [LogGain(x, e) for x, e in zip(estimates.tolist(), errors.tolist(), strict=True)]
        total = adjusted_sum(fit_prior(effects), [effects[n] for n in won], [1.0] * len(won))
        error = total.mean - truth[won].sum()
        rows.append((abs(error) <= Z95 * total.sd, error, estimates[won].sum() - truth[won].sum()))
    covered, bias, raw_bias = np.array(rows, dtype=float).mean(axis=0).tolist()
    return GainCell(spread, mean, decisions, projects, covered, bias, raw_bias)


def error_of(cell: GainCell) -> float:
    """Return the Monte-Carlo error of a cell's coverage."""
    return math.sqrt(cell.covered * (1 - cell.covered) / cell.projects)
