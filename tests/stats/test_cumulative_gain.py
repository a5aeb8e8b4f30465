"""Gains are drawn to the project's prior and compounded: unbiased after selection, at their level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.stats.cumulative_gain import (
    DEFAULT_SD,
    LogGain,
    Prior,
    adjusted_sum,
    agrees,
    combine,
    fit_prior,
    lift_of,
    shrink_to,
)
from experiments.stats.totals import StatisticsError
from tests.support.gains import measure_gains


def test_an_interval_gives_the_log_gain():
    gain = LogGain.of_interval(math.exp(-0.1) - 1, math.exp(0.1) - 1, math.exp(0.3) - 1, critical=2.0)
    assert (gain.mean, gain.sd) == pytest.approx((0.1, 0.1))
    assert (gain.reversed.mean, gain.reversed.sd) == pytest.approx((-0.1, 0.1))
    assert LogGain.of_interval(-1.0, 0.1, 0.3, critical=2.0) is None
    assert LogGain.of_interval(-0.5, 0.1, math.inf, critical=2.0) is None


def test_few_effects_leave_the_default_prior():
    assert fit_prior([LogGain(0.5, 0.01)] * 9) == Prior(0.0, DEFAULT_SD, 0)


def test_the_prior_is_recovered():
    rng = np.random.default_rng(3)
    errors = rng.uniform(0.01, 0.05, 2000)
    estimates = rng.normal(-0.01, 0.04, 2000) + rng.normal(0, errors)
    prior = fit_prior([LogGain(x, e) for x, e in zip(estimates, errors, strict=True)])
    assert prior.decisions == 2000
    assert prior.mean == pytest.approx(-0.01, abs=0.004)
    assert prior.sd == pytest.approx(0.04, rel=0.08)


def test_effects_without_spread_narrow_the_prior():
    rng = np.random.default_rng(4)
    prior = fit_prior([LogGain(x, 0.05) for x in rng.normal(0, 0.02, 50)])
    assert 0.002 < prior.sd < DEFAULT_SD


def test_few_noisy_effects_never_outweigh_a_measurement():
    """Ten tests of N(0, 3 %) with errors as large: the likeliest spread is none in a fifth of projects."""
    rng = np.random.default_rng(6)
    priors = [
        fit_prior([LogGain(x, 0.03) for x in rng.normal(0, 0.03, 10) + rng.normal(0, 0.03, 10)])
        for _ in range(200)
    ]
    assert min(prior.sd for prior in priors) > 0.005
    loss = LogGain(-0.06, 0.03)
    assert max(shrink_to(prior, loss).mean for prior in priors) < 0.01


def test_figures_of_one_effect_are_combined_and_drawn_to_the_prior():
    both = combine([LogGain(0.1, 0.03), LogGain(0.04, 0.06)])
    assert both.mean == pytest.approx((0.1 / 0.03**2 + 0.04 / 0.06**2) / (0.03**-2 + 0.06**-2))
    assert both.sd == pytest.approx((0.03**-2 + 0.06**-2) ** -0.5)
    shrunk = shrink_to(Prior(0.0, 0.03), LogGain(0.1, 0.03))
    assert (shrunk.mean, shrunk.sd) == pytest.approx((0.05, 0.03 / math.sqrt(2)))
    with pytest.raises(StatisticsError):
        combine([LogGain(0.1, 0.0)])


def test_gains_compound():
    flat = Prior(0.0, 1e6)
    total = adjusted_sum(flat, [LogGain(0.1, 0.03), LogGain(0.2, 0.04)], [1.0, 1.0])
    assert (total.mean, total.sd) == pytest.approx((0.3, 0.05))
    lift = lift_of(total)
    assert lift.estimate == pytest.approx(math.exp(0.3) - 1)
    assert lift.low == pytest.approx(math.exp(0.3 - 1.959964 * 0.05) - 1)
    half = adjusted_sum(flat, [LogGain(0.2, 0.04)], [0.5])
    assert (half.mean, half.sd) == pytest.approx((0.1, 0.02))
    assert adjusted_sum(flat, [], []) == LogGain(0.0, 0.0)
    assert agrees(LogGain(0.1, 0.03), LogGain(0.2, 0.05))
    assert not agrees(LogGain(0.1, 0.03), LogGain(0.3, 0.05))


def test_what_is_not_known_of_the_prior_does_not_cancel_between_gains():
    """A gain that is added and one that is taken back share the mean of the prior, two gains add it up."""
    prior = fit_prior([LogGain(x, 0.03) for x in (-0.02, 0.01, 0.04, 0.05)])
    gains = [LogGain(0.05, 0.03)] * 2
    added, exchanged = (adjusted_sum(prior, gains, [1.0, sign]) for sign in (1.0, -1.0))
    one = shrink_to(prior, gains[0])
    assert added.mean == pytest.approx(2 * one.mean)
    assert added.sd > math.sqrt(2) * one.sd > exchanged.sd
    assert exchanged.mean == pytest.approx(0.0, abs=1e-12)


def test_the_sum_of_selected_gains_is_unbiased():
    """30 tests a project, those with z > 1.96 promoted: raw sums are far too high."""
    (cell,) = measure_gains(300, spreads=(0.04,), decisions=(30,), means=(0.0,), seed=5)
    assert abs(cell.bias) < 0.01
    assert cell.raw_bias > 3 * abs(cell.bias)


def test_intervals_of_sums_of_wins_cover_at_usual_spreads():
    """A hundred projects a cell; the full size is `make bench ONLY=gains`."""
    cells = measure_gains(100, decisions=(5, 25), means=(0.0,), seed=7)
    for cell in cells:
        assert cell.covered >= 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / cell.projects), cell
    assert np.mean([cell.covered for cell in cells]) > 0.93
