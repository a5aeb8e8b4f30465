"""The planner's numbers of a week: over all visitors, of whom most did nothing."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.scorecards.traffic_plan import WeekOfTraffic


def test_inactive_visitors_count_as_zero():
    rng = np.random.default_rng(3)
    active = rng.poisson(4.0, 20_000) + 1.0
    everybody = np.concatenate([active, np.zeros(80_000)])
    week = WeekOfTraffic(len(everybody), len(active), active.mean(), active.std(ddof=1))
    assert week.mean_of_all == pytest.approx(everybody.mean())
    assert week.deviation_of_all == pytest.approx(everybody.std(), rel=1e-4)


def test_more_active_units_than_visitors_are_all_of_them():
    """Events may come from pages that the surface is not on."""
    week = WeekOfTraffic(visitors=10, active=25, mean=2.0, deviation=0.0)
    assert (week.active_share, week.mean_of_all, week.deviation_of_all) == (1.0, 2.0, 0.0)
