"""The breaker beyond a floor: what a guardrail accepts does not trip it, and failures still do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.stats.breaker import ArmCounts, ArmPaths, log_e_events
from experiments.stats.breaker_floor import log_e_beyond_floor
from experiments.stats.totals import StatisticsError

FLOOR, MARGIN = 0.005, 0.2
TIMES = np.unique(np.geomspace(10, 40_000, 150).astype(int))  # arrivals at which it is asked


def ever(control, treatment, *, share=0.5, runs=150, harm="increase", seed=1) -> np.ndarray:
    """Return the largest ln E of each run; rates are numbers, or shape (arrivals,)."""
    rng, worst = np.random.default_rng(seed), []
    for _ in range(runs):
        treated = rng.random(TIMES[-1]) < share
        event = rng.random(TIMES[-1]) < np.where(treated, treatment, control)
        arms = [(side & event).cumsum()[TIMES - 1] for side in (treated, ~treated)]
        trials = (treated if harm == "increase" else ~treated).cumsum()[TIMES - 1]
        log_e = log_e_beyond_floor(
            [ArmPaths(share, *arms)], trials=trials, margin=MARGIN, floor=FLOOR, harm=harm
        )
        worst.append(log_e.max())
    return np.array(worst)


def incident() -> np.ndarray:
    """Return errors of nobody, but of a tenth of all in an early hundredth of the time."""
    errors = np.zeros(TIMES[-1])
    errors[400:800] = 0.1
    return errors


@pytest.mark.parametrize(
    ("control", "share"), [(0.0, 0.5), (0.001, 0.5), (0.01, 0.5), (0.001, 0.05), (incident(), 0.5)]
)
def test_harm_that_the_guardrail_accepts_hardly_ever_trips(control, share):
    """At its edge; nearly all of these trip by a margin alone."""
    treatment = (1 + MARGIN) * control + FLOOR
    tripped = (ever(control, treatment, share=share) >= math.log(20)).mean()
    assert tripped <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


def test_fewer_conversions_within_the_floor_do_not_trip():
    tripped = ever(0.01, 0.8 * 0.01 - FLOOR, harm="decrease") >= math.log(20)
    assert tripped.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert (ever(0.05, 0.0, harm="decrease", runs=20) >= math.log(1000)).all()


@pytest.mark.parametrize(("share", "units"), [(0.5, 15), (0.05, 4), (0.01, 3)])
def test_a_failure_of_everything_trips_within_a_unit_of_the_margin_alone(share, units):
    def log_e(failed: int, floor: float) -> float:
        counts = [ArmCounts(1, share, failed, 0)]
        if not floor:
            return log_e_events(counts, margin=MARGIN, harm="increase")
        return float(
            log_e_beyond_floor(counts, trials=failed, margin=MARGIN, floor=floor, harm="increase")
        )

    first, alone = (
        next(n for n in range(1, 99) if log_e(n, floor) >= math.log(1000)) for floor in (FLOOR, 0.0)
    )
    assert (first, first - alone) == (units, 1)


def test_ten_times_as_many_errors_and_1_instead_of_0_percent_trip():
    assert (ever(0.01, 0.1, runs=20) >= math.log(1000)).all()
    assert (ever(0.0, 0.02, runs=20) >= math.log(1000)).all()


def test_trials_only_lower_the_evidence_of_the_labels():
    counts = [ArmCounts(1, 0.5, 80, 8)]
    log_e = [
        log_e_beyond_floor(counts, trials=trials, margin=MARGIN, floor=FLOOR, harm="increase")
        for trials in (None, 80, 400, 4_000, 8_000, 40_000)
    ]
    assert log_e == sorted(log_e, reverse=True)
    assert log_e[0] > math.log(1000)
    assert log_e[-1] < 0


def test_without_a_floor_it_is_refused():
    with pytest.raises(StatisticsError, match="floor == 0, must be above 0"):
        log_e_beyond_floor([], trials=1, margin=MARGIN, floor=0.0, harm="increase")
