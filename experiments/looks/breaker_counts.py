"""What the breaker reads: units by their first outcome, by arm and epoch of exposure.

The observations of a roll-up, windows still open, are the state. A unit bets once on each metric, with
its first outcome: it is marked and counted in one statement, so that neither happens alone. A unit that
is excluded later keeps its bet: the rule that excludes it cannot see its arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.metrics.freeze import spec_of
from experiments.models import BreakerCount, ExperimentMetric
from experiments.stats.breaker import (
    ArmCounts,
    BinnedCounts,
    log_bound,
    log_e_bounded,
    log_e_events,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.backends.utils import CursorWrapper

    from experiments.kinds import Direction
    from experiments.models import Epoch, Experiment

LATENCY = "slate.latency"
BINS = 50  # of latencies up to the cap; one more holds what is beyond it
CAP_MEDIANS = 10.0  # a cap at the largest values would hide a doubled mean
# Events that merely come later look like fewer: below this margin slower conversions would trip.
MIN_CONVERSION_MARGIN = 0.2
MAX_DECREASE = 0.99  # a decrease by everything could not be exceeded

_BET = """
    WITH first AS (
        UPDATE experiments_observation SET bet = true
        WHERE experiment_id = %(experiment)s AND metric_id = %(metric)s AND NOT bet
            AND uncapped_value <> 0
        RETURNING variant_id, epoch, uncapped_value / nullif(denominator, 0) AS value
    )
    INSERT INTO experiments_breakercount AS known
        (experiment_id, metric_id, variant_id, epoch, bin, units)
    SELECT %(experiment)s, %(metric)s, variant_id, epoch,
        CASE WHEN %(cap)s::float8 IS NULL THEN 0
            ELSE least(greatest(ceil(value / %(cap)s::float8 * %(bins)s), 1), %(bins)s + 1)::int
        END AS bin, count(*)
    FROM first GROUP BY variant_id, epoch, bin
    ON CONFLICT (experiment_id, metric_id, variant_id, epoch, bin)
        DO UPDATE SET units = known.units + EXCLUDED.units"""


@dataclass(frozen=True, slots=True)
class BreakerTest:
    """One test of the breaker: of one treatment on one metric.

    Attributes:
        variant: key of the treatment.
        metric: key of the metric.
        about: what is tested: `event`, `latency` (the mean of what counts), or `slow` (beyond the cap).
        harm: which change is harm.
        margin: relative change that is accepted.
        events: units with the event, by epoch; of `latency` those of each bin.
        log_e: evidence of harm so far.
        bound: at which it trips.
    """

    variant: str
    metric: str
    about: str
    harm: Direction
    margin: float
    events: Sequence[ArmCounts] | Sequence[BinnedCounts]
    log_e: float
    bound: float

    @property
    def tripped(self) -> bool:
        """Whether harm has been shown."""
        return self.log_e >= self.bound

    @property
    def units(self) -> tuple[int, int]:
        """Units with an outcome, in the treatment and in the control."""
        treated, controlled = 0, 0
        for one in self.events:
            treated += one.treatment if isinstance(one.treatment, int) else sum(one.treatment)
            controlled += one.control if isinstance(one.control, int) else sum(one.control)
        return treated, controlled


def is_watched(metric: ExperimentMetric) -> bool:
    """Whether the breaker watches a metric: the primary for a loss, and every guardrail."""
    return metric.role in {ExperimentMetric.Role.PRIMARY, ExperimentMetric.Role.GUARDRAIL}


def watched_metrics(experiment: Experiment, metrics: Sequence[ExperimentMetric]) -> set[int]:
    """Return the ids of the metrics that an experiment's breaker watches; none without one."""
    if not experiment.breaker_alpha or experiment.purpose != experiment.Purpose.TEST:
        return set()
    return {metric.metric_id for metric in metrics if is_watched(metric)}


def latency_cap(experiment: Experiment, metric: ExperimentMetric) -> float | None:
    """Milliseconds beyond which a latency counts as slow; None where nothing was served before.

    Ten medians, or ten times what nobody notices where the median is less than that.
    """
    median = experiment.latency_before.get("median_ms", 0.0)
    return CAP_MEDIANS * max(median, metric.margin_floor) if median > 0 else None


def place_bets(cursor: CursorWrapper, experiment: Experiment, metric: ExperimentMetric) -> None:
    """Count each unit's first outcome that is not counted yet, in the caller's transaction."""
    is_latency = spec_of(metric, experiment).event == LATENCY
    cursor.execute(
        _BET,
        {
            "experiment": experiment.pk,
            "metric": metric.metric_id,
            "cap": latency_cap(experiment, metric) if is_latency else None,
            "bins": BINS,
        },
    )


def read_tests(experiment: Experiment) -> list[BreakerTest]:
    """Return every test of a running experiment, each with the evidence so far.

    All of them share alpha, of all treatments too.
    """
    watched = [m for m in experiment.metrics.select_related("metric") if is_watched(m)]
    epochs = list(experiment.epochs.all())
    counts: dict[tuple[int, str, int, int], int] = {
        (metric, variant, epoch, place): units
        for metric, variant, epoch, place, units in BreakerCount.objects.filter(
            experiment=experiment
        ).values_list("metric_id", "variant__key", "epoch", "bin", "units")
    }
    arms = [variant.key for variant in experiment.treatments]
    control = experiment.control.key
    pending = [
        (arm, metric, about)
        for arm in arms
        for metric in watched
        for about in _tests_of(experiment, metric)
    ]
    if not pending or not watched_metrics(experiment, watched):
        return []
    bound = log_bound(tests=len(pending), alpha=experiment.breaker_alpha)
    return [
        _test(
            _Sides(arm, control, epochs, counts),
            experiment,
            metric,
            about,
            bound=bound,
        )
        for arm, metric, about in pending
    ]


def _tests_of(experiment: Experiment, metric: ExperimentMetric) -> list[str]:
    if spec_of(metric, experiment).event != LATENCY:
        return ["event"]
    # Every answer has a latency: that there is one says nothing, so there is no test without a cap.
    return ["latency", "slow"] if latency_cap(experiment, metric) is not None else []


@dataclass(frozen=True, slots=True)
class _Sides:
    """Counts of a treatment and of the control.

    Attributes:
        arm: key of the treatment.
        control: key of the control.
        epochs: of the experiment.
        counts: units by metric, variant, epoch and bin.
    """

    arm: str
    control: str
    epochs: Sequence[Epoch]
    counts: Mapping[tuple[int, str, int, int], int]

    def shares(self) -> list[tuple[int, float]]:
        """Return the epochs in which both took traffic, with the treatment's share of the two."""
        shares = []
        for epoch in self.epochs:
            treated = epoch.weights.get(self.arm, 0.0)
            both = treated + epoch.weights.get(self.control, 0.0)
            if 0 < treated < both:
                shares.append((epoch.number, treated / both))
        return shares

    def units(self, metric: int, epoch: int, places: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return units of the treatment and of the control, by bin."""
        return (
            [self.counts.get((metric, self.arm, epoch, place), 0) for place in places],
            [self.counts.get((metric, self.control, epoch, place), 0) for place in places],
        )


def _test(
    sides: _Sides, experiment: Experiment, metric: ExperimentMetric, about: str, *, bound: float
) -> BreakerTest:
    spec = spec_of(metric, experiment)
    harm: Direction = "increase" if spec.direction == "decrease" else "decrease"
    margin = metric.margin
    if harm == "decrease" or metric.role == ExperimentMetric.Role.PRIMARY:
        margin = min(max(margin, MIN_CONVERSION_MARGIN), MAX_DECREASE)
    events: Sequence[ArmCounts] | Sequence[BinnedCounts]
    if about == "latency":
        events, log_e = _latency(sides, experiment, metric, margin=margin, harm=harm)
    else:
        counts = _events(sides, metric, BINS + 1 if about == "slow" else 0)
        events, log_e = counts, log_e_events(counts, margin=margin, harm=harm)
    return BreakerTest(sides.arm, metric.metric.key, about, harm, margin, events, log_e, bound)


def _events(sides: _Sides, metric: ExperimentMetric, place: int) -> list[ArmCounts]:
    counts = []
    for epoch, share in sides.shares():
        (treated,), (controlled,) = sides.units(metric.metric_id, epoch, [place])
        counts.append(ArmCounts(epoch, share, treated, controlled))
    return counts


def _latency(
    sides: _Sides,
    experiment: Experiment,
    metric: ExperimentMetric,
    *,
    margin: float,
    harm: Direction,
) -> tuple[list[BinnedCounts], float]:
    events = []
    for epoch, share in sides.shares():
        treated, controlled = sides.units(metric.metric_id, epoch, range(1, BINS + 2))
        # What is beyond the cap counts as the cap here; the test of slow answers sees it by itself.
        for side in (treated, controlled):
            side[-2] += side.pop()
        events.append(BinnedCounts(epoch, share, tuple(treated), tuple(controlled)))
    cap, mean = latency_cap(experiment, metric), experiment.latency_before["mean_ms"]
    assert cap is not None  # noqa: S101  there is no such test without one
    log_e = log_e_bounded(
        events,
        upper_ends=[(place + 1) / BINS for place in range(BINS)],
        centre=min(mean / cap, 1.0),
        margin=margin + metric.margin_floor / mean,
        harm=harm,
    )
    return events, log_e
