"""A plan from what a surface and a metric saw in a week: what the experiment would take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from experiments.kinds import PROPORTIONS
from experiments.scorecards.past_values import (
    COUNTED,
    compile_on_surface,
    has_covariate,
    spec_on,
    stretch_of,
    values_sql,
)
from experiments.scorecards.plan import Plan, PlanQuestion, plan
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.backends.utils import CursorWrapper

    from experiments.kinds import Rule
    from experiments.metrics.spec import MetricSpec
    from experiments.models import Metric
    from inference.models import Surface

WEEK = timedelta(days=7)
MIN_SPREAD = 1e-9  # of a metric of which every unit had one value: the formulas need one
# Below so many users whose windows have closed, those whose windows are open say more than they do.
MIN_COMPLETE = 100
# Of fewer users a correlation is chance, and one near 1 would save nearly all users of a plan.
MIN_CORRELATED, MAX_CORRELATION = 100, 0.99
# Values of more would not make a plan better, and a page waits for them: a third of a per cent.
MAX_USERS = 20_000
# The density at a quantile is that of the values between a tenth below it and a tenth above it.
BESIDE = 0.1

_VISITORS = f"""SELECT count(DISTINCT unit_id), min(served_at) FROM experiments_slate AS slate
    WHERE {COUNTED}"""


def _values_sql(spec: MetricSpec) -> str:
    """SQL of the values of the users whose first answer is in the stretch, a sample of them if many."""
    return f"""WITH served AS (SELECT slate.unit_id, min(slate.served_at) AS exposed_at
            FROM experiments_slate AS slate WHERE {COUNTED} GROUP BY slate.unit_id),
        o AS MATERIALIZED (SELECT * FROM served
            ORDER BY hashtextextended(unit_id, 0) LIMIT {MAX_USERS}),
        {values_sql(spec)}
        SELECT count(*), count(*) FILTER (WHERE value <> 0), avg(contribution),
            stddev_samp(contribution), corr(contribution, covariate),
            percentile_disc(%(levels)s::float8[]) WITHIN GROUP (ORDER BY value) FROM users"""


@dataclass(frozen=True, slots=True)
class WeekOfTraffic:
    """A surface's visitors of a week, and a metric's values of its users.

    Attributes:
        visitors: distinct units that the surface answered in the last week.
        users: those whose values were read: of a week whose windows have closed.
        active: those of them with a value other than 0.
        baseline: the metric over them: a mean, proportion, ratio or quantile.
        deviation: standard deviation of a user's contribution to it.
        days: that the visitors took to come, at least 1: a surface may be younger than a week.
        correlation: of the value with the past one, where the test uses it (CUPED).
        density: of a quantile: of the values at it; 0 where they are all alike.
        is_complete: whether the windows of the users had closed; too few had, if not.
    """

    visitors: int
    users: int
    active: int
    baseline: float
    deviation: float
    days: float = 7.0
    correlation: float = 0.0
    density: float | None = None
    is_complete: bool = True

    @property
    def active_share(self) -> float:
        """Active users over those that were read."""
        return self.active / self.users if self.users else 0.0


class CeilingError(StatisticsError):
    """A proportion cannot rise by the lift that is planned; `share` of the users do it already."""

    def __init__(self, share: float, lift: float) -> None:
        """Keep the numbers beside the message."""
        self.share = share
        self.room = 1 / share - 1
        super().__init__(
            f"min_lift == {lift:g}, must be below {self.room:.3g}: {100 * share:.3g}% of users already "
            f"do this; it can rise by at most {100 * self.room:.2g}%."
        )


class NoTrafficError(Exception):
    """There is nothing to plan from; `traffic` says what there is."""

    def __init__(self, traffic: WeekOfTraffic, metric: Metric) -> None:
        """Keep the counts beside the message."""
        super().__init__(
            f"visitors of the last week == {traffic.visitors}, must be at least 2, and those with "
            f"events of metric '{metric.key}' == {traffic.active}, must be at least 1."
        )
        self.traffic = traffic


@dataclass(frozen=True, slots=True)
class Design:
    """What a form knows of an experiment that is not there yet.

    Attributes:
        treatment_share: of the units in the experiment, in (0, 1).
        planned_units: over both variants.
        rule: by which it is judged.
        guardrails: how many must hold too.
        allocation: share of the traffic in the experiment, in (0, 1].
        min_lift: smallest relative change that must be found; None: what `planned_units` find.
        shares: of all variants, the control first, where there are more than two; empty: of two.
        window_seconds: of users, for metrics without their own; None: the surface's.
    """

    treatment_share: float = 0.5
    planned_units: int = 10_000
    rule: Rule = "group_sequential"
    guardrails: int = 0
    allocation: float = 1.0
    min_lift: float | None = None
    shares: tuple[float, ...] = ()
    window_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """A plan, and the traffic that it rests on.

    Attributes:
        plan: what the experiment needs.
        visitors_per_day: of the surface.
        baseline: the metric now, per visitor.
        active_share: of the visitors with the metric's event.
        is_complete: whether the outcomes that it rests on are.
    """

    plan: Plan
    visitors_per_day: float
    baseline: float
    active_share: float
    is_complete: bool = True


def plan_from_traffic(surface: Surface, metric: Metric, design: Design) -> TrafficPlan:
    """Return what a design would find, and how long it would take, at the last week's traffic.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        CeilingError: more of the users than there are would have to do it.
        StatisticsError: the design breaks a rule of the plan.
    """
    traffic = read_week(surface, metric, window_seconds=design.window_seconds)
    return plan_for_week(traffic, metric, design)


def plan_for_week(traffic: WeekOfTraffic, metric: Metric, design: Design) -> TrafficPlan:
    """Return the same from traffic that was read.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        CeilingError: more of the users than there are would have to do it.
        StatisticsError: the design breaks a rule of the plan.
    """
    if traffic.visitors < 2 or traffic.users < 2 or not traffic.active:
        raise NoTrafficError(traffic, metric)
    if metric.kind == "quantile" and not traffic.density:
        raise StatisticsError(
            f"metric == '{metric.key}', must differ between users: around its quantile all have "
            f"{traffic.baseline:g}."
        )
    lift, per_day = design.min_lift, traffic.visitors / traffic.days
    is_proportion = metric.kind in PROPORTIONS
    if is_proportion and lift is not None and traffic.baseline * (1 + lift) >= 1:
        # More of the users than there are cannot do it; fewer can, where that is the aim.
        if metric.direction != "decrease" or lift >= 1:
            raise CeilingError(traffic.baseline, lift)
        lift = -lift
    question = PlanQuestion(
        kind=metric.kind if is_proportion or metric.kind == "quantile" else "mean",
        baseline=traffic.baseline,
        shares=design.shares or [1 - design.treatment_share, design.treatment_share],
        mde=lift,
        units=float(design.planned_units) if lift is None else None,
        sd=None if is_proportion else max(traffic.deviation, MIN_SPREAD),
        quantile=metric.quantile,
        density=traffic.density,
        correlation=traffic.correlation,
        rule=design.rule,
        guardrails=design.guardrails,
        traffic=[per_day],
        allocation=design.allocation,
    )
    result = plan(question)
    if lift != design.min_lift:
        result = replace(result, mde_relative=design.min_lift, units_interleaved=None)
    return TrafficPlan(
        result, per_day, traffic.baseline, traffic.active_share, is_complete=traffic.is_complete
    )


def read_week(
    surface: Surface, metric: Metric, *, window_seconds: float | None = None
) -> WeekOfTraffic:
    """Return who came to a surface in the last week, and what a report would say of a metric.

    Values are of users whose windows have closed: those of one week, that long ago. Where too few
    have, of the last week's, as far as they go: not of a metric that counts only after a delay.

    Args:
        surface: where.
        metric: whose values.
        window_seconds: of users, for a metric without its own; None: the surface's.

    Raises:
        MetricError: the metric's fields break a rule.
    """
    now = timezone.now()
    spec = spec_on(surface, metric, window_seconds)
    closed = now - timedelta(seconds=spec.complete_after_seconds)
    with connection.cursor() as cursor:
        visitors, days = _read_visitors(cursor, surface, now)
        values = _read_values(cursor, surface, spec, closed)
        is_complete = says_enough(spec, users=values[0], active=values[1], visitors=visitors)
        if not is_complete:
            values = _read_values(cursor, surface, spec, now)
    # No unit has no mean, and one unit no deviation.
    users, active, mean, deviation, correlation, levels = values
    low, middle, high = levels or (0.0, 0.0, 0.0)
    is_quantile = spec.kind == "quantile"
    return WeekOfTraffic(
        visitors=visitors,
        users=users,
        active=active,
        baseline=float((middle if is_quantile else mean) or 0),
        deviation=float(deviation or 0),
        days=days,
        correlation=_trusted(correlation, users) if has_covariate(spec) else 0.0,
        density=_density(spec.quantile, low, high) if is_quantile else None,
        is_complete=is_complete,
    )


def says_enough(spec: MetricSpec, *, users: int, active: int, visitors: int) -> bool:
    """Whether users whose windows have closed say more than the last week's, whose may be open.

    Args:
        spec: of the metric.
        users: whose windows have closed.
        active: those of them with a value other than 0.
        visitors: of the last week.
    """
    if users >= min(MIN_COMPLETE, visitors):
        return True
    # Of who returns after a week, the last week's users have done nothing yet.
    return spec.delay_seconds > 0 and 0 < active < users


def _trusted(correlation: float | None, users: int) -> float:
    """Return a correlation as far as a plan may rest on it; 0 where too few users have it."""
    if correlation is None or users < MIN_CORRELATED:
        return 0.0
    return min(max(float(correlation), -MAX_CORRELATION), MAX_CORRELATION)


def visitors_per_day(surface: Surface) -> float:
    """Return how many users a day came to a surface in the last week."""
    with connection.cursor() as cursor:
        visitors, days = _read_visitors(cursor, surface, timezone.now())
    return visitors / days


def _read_visitors(cursor: CursorWrapper, surface: Surface, now: datetime) -> tuple[int, float]:
    """Return the users of the last week, and the days that they took to come."""
    cursor.execute(_VISITORS, stretch_of(surface, now - WEEK, now))
    visitors, first = cursor.fetchone()
    return visitors, days_since(first, now)


def days_since(first: datetime | None, now: datetime) -> float:
    """Return how many days the last week's users took to come, from 1 to 7; 7 where nobody did."""
    days = (now - first) / timedelta(days=1) if first is not None else float(WEEK.days)
    return min(max(days, 1.0), float(WEEK.days))


def _read_values(
    cursor: CursorWrapper, surface: Surface, spec: MetricSpec, until: datetime
) -> tuple[Any, ...]:
    parameters = dict(compile_on_surface(spec).parameters) | stretch_of(surface, until - WEEK, until)
    levels = [_beside(spec.quantile, -BESIDE), spec.quantile, _beside(spec.quantile, BESIDE)]
    cursor.execute(_values_sql(spec), parameters | {"levels": levels})
    row: tuple[Any, ...] = cursor.fetchone()
    return row


def _beside(quantile: float, step: float) -> float:
    return min(max(quantile + step, 0.0), 1.0)


def _density(quantile: float, low: float, high: float) -> float:
    """Return the density of values at a quantile, from those on both sides; 0 where they are alike."""
    share = _beside(quantile, BESIDE) - _beside(quantile, -BESIDE)
    return share / (high - low) if high > low else 0.0
