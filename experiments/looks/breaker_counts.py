"""What the breaker reads: units by their first outcome, by arm and epoch of exposure.

The observations of a roll-up, windows still open, are the state. A unit bets once on each metric, with
its first outcome: it is marked and counted in one statement, so that neither happens alone. A unit that
is excluded later keeps its bet: the rule that excludes it cannot see its arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from django.db.models import Sum

from experiments.kinds import PROPORTIONS
from experiments.metrics.freeze import spec_of
from experiments.models import BreakerCount, ExperimentMetric, Observation
from experiments.stats.breaker import (
    FIRST_STAKES,
    STAKES,
    ArmCounts,
    BinnedCounts,
    log_bound,
    log_e_bounded,
    log_e_events,
)
from experiments.stats.breaker_floor import log_e_beyond_floor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.backends.utils import CursorWrapper

    from experiments.kinds import Direction
    from experiments.metrics.spec import MetricSpec
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
        log_e: evidence of harm so far; an upper limit where trials are needed and not counted.
        bound: at which it trips.
        floor: absolute change that is accepted besides, in the metric's unit.
        trials: of an event with a floor, in the arm in which harm makes more events: its answers, or
            units. None where the labels alone show too little to count them.
    """

    variant: str
    metric: str
    about: str
    harm: Direction
    margin: float
    events: Sequence[ArmCounts] | Sequence[BinnedCounts]
    log_e: float
    bound: float
    floor: float = 0.0
    trials: float | None = None

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
    return _cap_of(experiment.latency_before, metric.margin_floor)


def _cap_of(before: Mapping[str, float], floor: float) -> float | None:
    median = before.get("median_ms", 0.0)
    return CAP_MEDIANS * max(median, floor) if median > 0 else None


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
    if about == "latency":
        binned = _binned(sides, metric)
        floor = metric.margin_floor
        log_e = log_e_of(about, binned, margin, harm, floor=floor, before=experiment.latency_before)
        return BreakerTest(
            sides.arm, metric.metric.key, about, harm, margin, binned, log_e, bound, floor
        )
    events = _events(sides, metric, BINS + 1 if about == "slow" else 0)
    floor = metric.margin_floor if about == "event" and _is_share(spec) else 0.0
    log_e, trials = log_e_of(about, events, margin, harm, floor=floor), None
    if floor and log_e >= bound:  # counting reads every unit of the arm: only where labels would trip
        trials = _count_trials(sides, experiment, metric, harm)
        log_e = log_e_of(about, events, margin, harm, floor=floor, trials=trials)
    return BreakerTest(
        sides.arm, metric.metric.key, about, harm, margin, events, log_e, bound, floor, trials
    )


def log_e_of(
    about: str,
    events: Sequence[ArmCounts] | Sequence[BinnedCounts],
    margin: float,
    harm: Direction,
    *,
    floor: float = 0.0,
    trials: float | None = None,
    before: Mapping[str, float] | None = None,
    without_floor: bool = False,
) -> float:
    """Return the evidence of a test from what its record holds, so that anybody can recompute it.

    Args:
        about: `event`, `latency` or `slow`.
        events: by epoch.
        margin: relative change that is accepted.
        harm: which change is harm.
        floor: absolute change that is accepted besides, in the metric's unit.
        trials: of an event with a floor; None: its upper limit.
        before: of `latency`, median and mean of the champion before the start.
        without_floor: of a record that has no floor: then a latency's was a part of the margin, on the
            scale of that mean.
    """
    if about == "latency":
        before = before or {}
        cap = _cap_of(before, floor)
        assert cap is not None  # noqa: S101  there is no such test without one
        return log_e_bounded(
            cast("Sequence[BinnedCounts]", events),
            upper_ends=[(place + 1) / BINS for place in range(BINS)],
            centre=min(before["mean_ms"] / cap, 1.0),
            margin=margin + (floor / before["mean_ms"] if without_floor else 0.0),
            floor=0.0 if without_floor else floor / cap,
            harm=harm,
            stakes=FIRST_STAKES if without_floor else STAKES,
        )
    counts = cast("Sequence[ArmCounts]", events)
    if without_floor or not floor:
        return log_e_events(counts, margin=margin, harm=harm)
    return float(log_e_beyond_floor(counts, trials=trials, margin=margin, floor=floor, harm=harm))


def _is_share(spec: MetricSpec) -> bool:
    """Whether a floor of the metric is one of the event's rate, and not of a mean or a sum."""
    return spec.kind in PROPORTIONS or (spec.kind == "ratio" and spec.value == "count")


def _count_trials(
    sides: _Sides, experiment: Experiment, metric: ExperimentMetric, harm: Direction
) -> float:
    """Return the answers (units, of a proportion) of the arm in which harm makes more events."""
    observed = Observation.objects.filter(
        experiment=experiment,
        metric=metric.metric_id,
        variant__key=sides.arm if harm == "increase" else sides.control,
        epoch__in=[epoch for epoch, _share in sides.shares()],
    )
    return float(observed.aggregate(total=Sum("denominator"))["total"] or 0.0)


def _events(sides: _Sides, metric: ExperimentMetric, place: int) -> list[ArmCounts]:
    counts = []
    for epoch, share in sides.shares():
        (treated,), (controlled,) = sides.units(metric.metric_id, epoch, [place])
        counts.append(ArmCounts(epoch, share, treated, controlled))
    return counts


def _binned(sides: _Sides, metric: ExperimentMetric) -> list[BinnedCounts]:
    events = []
    for epoch, share in sides.shares():
        treated, controlled = sides.units(metric.metric_id, epoch, range(1, BINS + 2))
        # What is beyond the cap counts as the cap here; the test of slow answers sees it by itself.
        for side in (treated, controlled):
            side[-2] += side.pop()
        events.append(BinnedCounts(epoch, share, tuple(treated), tuple(controlled)))
    return events
