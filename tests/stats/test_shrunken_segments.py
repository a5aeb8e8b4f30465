"""Effects drawn together: SciPy's chi-square, closed forms, and simulation of who differs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from experiments.stats.segments import SegmentEffect
from experiments.stats.shrunken_segments import SegmentDifference, shrink_segments


def effects(estimates, errors, attribute: str = "country") -> list[SegmentEffect]:
    return [
        SegmentEffect(f"{attribute}={n}", "b", 100, estimate=float(estimate), se=float(se))
        for n, (estimate, se) in enumerate(zip(estimates, errors, strict=True))
    ]


def test_the_test_is_cochrans_and_the_spread_solves_its_equation():
    """Of eight schools (Rubin 1981): Q = 4.1 of 7, no spread; the same errors with more scatter."""
    schools = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]
    rows, (found,) = shrink_segments(effects(*schools), alpha=0.05)
    weights = 1 / np.square(schools[1])
    common = np.average(schools[0], weights=weights)
    q = float(weights @ np.square(np.array(schools[0]) - common))
    assert (found.statistic, found.segments, found.differs) == (pytest.approx(q), 8, False)
    assert found.p_value == pytest.approx(stats.chi2.sf(q, 7))
    assert found.spread == 0
    # Posterior means of Gelman et al. (Bayesian Data Analysis, 5.5): 11, 8, 6, 8, 5, 6, 10, 8.
    assert [row.shrunken for row in rows] == pytest.approx([11, 8, 6, 8, 5, 6, 10, 8], abs=1)

    wide = np.array(schools[0]) * 4.0
    rows, (found,) = shrink_segments(effects(wide, schools[1]), alpha=0.05)

    def excess(variance: float, q: float) -> float:
        w = 1 / (np.square(schools[1]) + variance)
        return float(w @ np.square(wide - np.average(wide, weights=w))) - q

    assert found.spread**2 == pytest.approx(optimize.brentq(excess, 0, 1e5, args=(7,)), rel=1e-6)
    upper = optimize.brentq(excess, 0, 1e6, args=(stats.chi2.ppf(0.025, 7),))
    assert found.spread_bound**2 == pytest.approx(upper, rel=1e-6)
    assert found.differs
    assert rows == shrink_segments(effects(wide, schools[1]), alpha=0.05)[0]
    for row, estimate in zip(rows, wide, strict=True):
        low, high = sorted([estimate, found.common])
        assert low - 1 < row.shrunken < high + 1
        assert row.shrunken_interval[0] < row.shrunken < row.shrunken_interval[1]


def simulate(spread: float, runs: int, seed: int, k: int = 8):
    rng = np.random.default_rng(seed)
    called, covered, ours, plain = 0, 0, 0.0, 0.0
    for _ in range(runs):
        errors = rng.uniform(0.5, 1.5, k)
        true = 1 + rng.normal(0, spread, k)
        estimates = rng.normal(true, errors)
        rows, (found,) = shrink_segments(effects(estimates, errors), alpha=0.05)
        called += found.differs
        covered += sum(
            row.shrunken_interval[0] <= t <= row.shrunken_interval[1]
            for row, t in zip(rows, true, strict=True)
        )
        ours += sum((row.shrunken - t) ** 2 for row, t in zip(rows, true, strict=True))
        plain += float(np.sum((estimates - true) ** 2))
    return called / runs, covered / runs / k, ours / plain


def test_no_difference_is_called_one_a_twentieth_of_the_time():
    called, covered, error = simulate(0.0, 600, 1)
    assert stats.binomtest(round(called * 600), 600, 0.05).pvalue > 0.01
    assert covered > 0.95
    assert error < 0.5  # eight estimates of one effect are nearly pooled


@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0])
def test_shrunken_effects_are_nearer_and_their_intervals_cover(spread):
    called, covered, error = simulate(spread, 200, 2)
    assert covered > 0.91
    assert error < 1.0
    assert (called > 0.9) == (spread > 2)


def test_attributes_and_treatments_are_tested_apart_and_adjusted_together():
    rows = effects([0, 10], [1, 1]) + effects([1, 1.2], [1, 1], "plan") + effects([3], [1], "device")
    rows.append(SegmentEffect("plan=old", "b", why_not="n == 1, must be at least 2."))
    shrunk, found = shrink_segments(rows, alpha=0.05)
    assert [(one.attribute, one.differs) for one in found] == [("country", True), ("plan", False)]
    assert found[0].adjusted_p_value == pytest.approx(2 * found[0].p_value)
    assert shrunk[4] == rows[4]  # one segment has nobody to differ from
    assert shrunk[5].shrunken is None
    assert SegmentDifference.from_json(found[0].as_json()) == found[0]
