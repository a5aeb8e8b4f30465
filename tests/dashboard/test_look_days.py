"""What a day of a report's chart shows, and which days it leaves out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from experiments.reports.look_days import read_steps
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals

START = datetime(2026, 10, 5, tzinfo=UTC)
SHARE, COUNT = (0.0, 1.0), (0.0, math.inf)


def look(day: int, n: int, value: float, excluded: int = 0) -> SimpleNamespace:
    """Return a look whose control has so many complete users, the sum of their values, and bots."""
    totals = Totals(n=n, sum_y=value, sum_yy=value, sum_d=n, sum_dd=n, sum_yd=value)
    metric = MetricInput(
        key="clicks", kind="mean", role="primary", direction="increase", margin=0.0,
        epochs=[{"control": totals}],
    )  # fmt: skip
    inputs = LookInput(
        policy=Policy(), control="control", treatments=["treatment"], metrics=[metric],
        exposures=[({"control": n}, {"control": 1.0})], crossover_units=0, elapsed_seconds=1.0,
        excluded=[({"control": excluded}, {"control": 1.0})],
    )  # fmt: skip
    return SimpleNamespace(taken_at=START + timedelta(days=day, hours=12), parsed_inputs=inputs)


@pytest.mark.parametrize(
    ("bounds", "second", "value"),
    [
        (SHARE, (200, 60.0), 0.4),
        (SHARE, (200, 121.0), None),  # late events of the first day's users: 101 of 100
        (SHARE, (200, 19.0), None),  # late corrections: less than none
        (COUNT, (200, 19.0), None),
        (COUNT, (200, 220.0), 2.0),
        ((-math.inf, math.inf), (200, 10.0), -0.1),  # refunds may exceed sales
        (SHARE, (109, 24.0), None),  # nine users
        (SHARE, (110, 24.0), 0.4),
        (SHARE, (200, 60.0, 11), None),  # bots that were taken out took their values along
        (SHARE, (200, 60.0, 10), 0.4),  # of few the mean is as good as that of who came
    ],
)
def test_a_day_has_a_point_where_its_mean_is_that_of_its_users(bounds, second, value):
    step, rows = read_steps([look(0, 100, 20.0), look(4, *second)], START, bounds)
    assert step == "day"
    assert rows[0].values == {"control": 0.2}
    assert rows[1].values.get("control") == (None if value is None else pytest.approx(value))
