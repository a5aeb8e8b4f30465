"""The breaker's mathematics: level, speed, bounds and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.stats.breaker import (
    ArmCounts,
    BinnedCounts,
    log_bound,
    log_e_bounded,
    log_e_events,
    required_events,
    trips,
)
from experiments.stats.breaker_power import units_to_detect
from experiments.stats.totals import StatisticsError

ALPHA = 0.001


def first_trip(labels: np.ndarray, required: np.ndarray) -> np.ndarray:
    """Event at which each run trips, inf where none does; labels (runs, events): in the arm of harm."""
    hit = labels.cumsum(axis=1) >= required[: labels.shape[1]]
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, math.inf)


def boundary(events: int, *, margin: float = 0.0, share: float = 0.5, alpha: float = ALPHA):
    return required_events(
        events, share=share, margin=margin, harm="increase", bound=log_bound(tests=1, alpha=alpha)
    )


@pytest.mark.parametrize(("share", "margin"), [(0.5, 0.0), (0.05, 0.0), (0.5, 0.2)])
def test_no_harm_and_harm_at_the_margin_hardly_ever_trip(share, margin):
    rng = np.random.default_rng(1)
    fair = (1 + margin) * share / ((1 + margin) * share + 1 - share)
    runs, events = 4_000, 1_000
    labels = rng.random((runs, events)) < fair
    tripped = np.isfinite(first_trip(labels, boundary(events, margin=margin, share=share, alpha=0.05)))
    assert tripped.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("before", "after", "median", "late"),
    [(0.0, 1.0, 12, 12), (0.01, 0.9, 13, 22), (0.01, 0.1, 196, 362)],
)
def test_errors_trip_as_fast_as_published(before, after, median, late):
    """Half and half; numbers of units in the treatment, median and 95th percentile."""
    rng = np.random.default_rng(2)
    runs, events = 2_000, 400
    rate = (before + after) / 2
    labels = rng.random((runs, events)) < after / (before + after)
    trip = first_trip(labels, boundary(events)).astype(int)
    place = np.arange(runs), trip - 1
    arrivals = np.cumsum(rng.geometric(rate, (runs, events)), axis=1)[place]
    # Those of the treatment with the event, and of the others those without.
    at = labels.cumsum(axis=1)[place] + rng.binomial(arrivals - trip, (1 - after) / 2 / (1 - rate))
    assert np.median(at) == pytest.approx(median, rel=0.1, abs=1)
    assert np.quantile(at, 0.95) == pytest.approx(late, rel=0.12, abs=1)


def test_conversions_that_stop_trip_by_those_of_the_control():
    for lost in range(1, 40):
        counts = [ArmCounts(1, 0.5, treatment=0, control=lost)]
        if trips(log_e_events(counts, margin=0.0, harm="decrease"), tests=1, alpha=ALPHA):
            break
    assert lost == 12
    assert log_e_events([ArmCounts(1, 0.5, 0, 40)], margin=0.0, harm="increase") < 0


def test_epochs_are_strata():
    """More errors at a larger share, in both arms alike, are no harm of the treatment."""
    strata = [ArmCounts(1, 0.01, 5, 495), ArmCounts(2, 0.5, 500, 500)]
    assert log_e_events(strata, margin=0.0, harm="increase") < 0
    pooled = [ArmCounts(1, 505 / 1500 * 0.6, 505, 995)]
    assert log_e_events(pooled, margin=0.0, harm="increase") > log_bound(tests=1, alpha=ALPHA)


def test_units_to_detect_agree_with_simulation():
    """Published are units until the trip; at a number of units, a few per cent more are needed."""
    published = {"total_failure": 21, "errors_times_10": 384, "conversions_halved": 3643}
    for name, count in published.items():
        units = units_to_detect(name, alpha=ALPHA, tests=1)
        assert count <= units <= 1.08 * count


def test_more_tests_and_a_floor_take_more_users():
    plain, shared = (units_to_detect("errors_times_10", alpha=ALPHA, tests=n) for n in (1, 5))
    floored = units_to_detect("errors_times_10", alpha=ALPHA, tests=5, floor=0.005)
    assert plain < shared < floored < 2 * plain
    with pytest.raises(StatisticsError, match="must be below the harm of 'errors_times_10'"):
        units_to_detect("errors_times_10", alpha=ALPHA, tests=1, margin=9.0)


def test_slow_answers_trip_and_equal_ones_do_not():
    """Log-normal latencies clipped at ten medians, bins of a fiftieth."""
    rng = np.random.default_rng(3)
    ends = [(n + 1) / 50 for n in range(50)]

    def counts(factor: float, units: int) -> BinnedCounts:
        def bins(scale: float) -> tuple[int, ...]:
            values = np.minimum(scale * np.exp(0.6 * rng.standard_normal(units)), 10) / 10
            return tuple(np.bincount(np.minimum((values * 50).astype(int), 49), minlength=50))

        return BinnedCounts(1, 0.5, bins(factor), bins(1.0))

    def log_e(factor: float, units: int) -> float:
        return log_e_bounded(
            [counts(factor, units)], upper_ends=ends, centre=0.13, margin=0.2, harm="increase"
        )

    bound = log_bound(tests=3, alpha=ALPHA)
    with_floor = log_e_bounded(
        [counts(1.6, 5_000)], upper_ends=ends, centre=0.13, margin=0.2, harm="increase", floor=0.05
    )
    assert with_floor < 0 < bound < log_e(1.6, 5_000)  # 6 points more, of which 5 are accepted
    assert log_e(2.0, 250) > bound
    assert log_e(10.0, 30) > bound
    assert max(log_e(1.0, 5_000) for _ in range(20)) < bound


def test_several_tests_share_alpha():
    assert trips(math.log(1 / ALPHA), tests=1, alpha=ALPHA)
    assert not trips(math.log(1 / ALPHA), tests=2, alpha=ALPHA)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            lambda: log_e_events([ArmCounts(1, 0.0, 1, 1)], margin=0, harm="increase"),
            r"share == 0, must",
        ),
        (lambda: log_e_events([], margin=-0.1, harm="increase"), r"margin == -0.1, must be at least 0"),
        (lambda: log_e_events([], margin=1.0, harm="decrease"), r"margin == 1, must be in \[0, 1\)"),
        (lambda: log_bound(tests=0, alpha=0.1), "tests == 0"),
        (
            lambda: log_e_bounded([], upper_ends=[0.5, 0.2], centre=0.1, margin=0, harm="increase"),
            "must rise",
        ),
        (
            lambda: log_e_bounded([], upper_ends=[1.0], centre=2, margin=0, harm="increase"),
            "centre == 2",
        ),
        (
            lambda: log_e_bounded([], upper_ends=[1.0], centre=0, margin=0, harm="increase", floor=-1),
            "floor == -1",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(refused, message):
    with pytest.raises(StatisticsError, match=message):
        refused()
