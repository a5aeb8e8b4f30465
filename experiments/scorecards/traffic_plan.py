"""A plan from what a surface and a metric saw in the last week: what the experiment would take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from experiments.kinds import PROPORTIONS
from experiments.scorecards.plan import Plan, PlanQuestion, plan

if TYPE_CHECKING:
    from experiments.kinds import Rule
    from experiments.models import Metric
    from inference.models import Surface

WEEK = timedelta(days=7)
MIN_SPREAD = 1e-9  # of a metric of which every unit had one value: the formulas need one

_VISITORS = """SELECT count(DISTINCT unit_id), min(served_at) FROM experiments_slate
    WHERE project_id = %s AND surface_id = %s AND served_at > %s"""
_VALUES = """SELECT count(*), avg(value), stddev_samp(value) FROM (
    SELECT unit_id, count(*)::float8 AS value FROM experiments_event
    WHERE project_id = %s AND name = %s AND occurred_at > %s
        AND unit_id IN (SELECT unit_id FROM experiments_slate
            WHERE project_id = %s AND surface_id = %s AND served_at > %s)
    GROUP BY unit_id) AS units"""


@dataclass(frozen=True, slots=True)
class WeekOfTraffic:
    """A surface's visitors of the last week, and a metric's events.

    Attributes:
        visitors: distinct units that the surface answered.
        active: those of them with the metric's event.
        mean: events of one active unit.
        deviation: their standard deviation over active units.
        days: that the visitors took to come, at least 1: a surface may be younger than a week.
    """

    visitors: int
    active: int
    mean: float
    deviation: float
    days: float = 7.0

    @property
    def active_share(self) -> float:
        """Active units over visitors, at most 1: events may come from elsewhere too."""
        return min(self.active / self.visitors, 1.0)

    @property
    def mean_of_all(self) -> float:
        """Events of one visitor; who did nothing counts as 0."""
        return self.active_share * self.mean

    @property
    def deviation_of_all(self) -> float:
        """Standard deviation over visitors: E[x²] − E[x]², where inactive ones have x = 0."""
        squares = self.active_share * (self.deviation**2 + self.mean**2)
        return float(max(squares - self.mean_of_all**2, 0.0) ** 0.5)


class NoTrafficError(Exception):
    """There is nothing to plan from; `traffic` says what there is."""

    def __init__(self, traffic: WeekOfTraffic) -> None:
        """Keep the counts beside the message."""
        super().__init__(
            f"visitors of the last week == {traffic.visitors}, must be at least 2, and those with the "
            f"metric's event == {traffic.active}, must be at least 1."
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
    """

    treatment_share: float = 0.5
    planned_units: int = 10_000
    rule: Rule = "group_sequential"
    guardrails: int = 0
    allocation: float = 1.0
    min_lift: float | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """A plan, and the traffic that it rests on.

    Attributes:
        plan: what the experiment needs.
        visitors_per_day: of the surface.
        baseline: the metric now, per visitor.
        active_share: of the visitors with the metric's event.
    """

    plan: Plan
    visitors_per_day: float
    baseline: float
    active_share: float


def plan_from_traffic(surface: Surface, metric: Metric, design: Design) -> TrafficPlan:
    """Return what a design would find, and how long it would take, at the last week's traffic.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        StatisticsError: the design breaks a rule of the plan.
    """
    return plan_for_week(read_week(surface, metric), metric, design)


def plan_for_week(traffic: WeekOfTraffic, metric: Metric, design: Design) -> TrafficPlan:
    """Return the same from traffic that was read.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        StatisticsError: the design breaks a rule of the plan.
    """
    if traffic.visitors < 2 or not traffic.active:
        raise NoTrafficError(traffic)
    proportion = metric.kind in PROPORTIONS
    baseline = traffic.active_share if proportion else traffic.mean_of_all
    question = PlanQuestion(
        kind="proportion" if proportion else "mean",
        baseline=baseline,
        shares=design.shares or [1 - design.treatment_share, design.treatment_share],
        mde=design.min_lift,
        units=float(design.planned_units) if design.min_lift is None else None,
        sd=None if proportion else max(traffic.deviation_of_all, MIN_SPREAD),
        rule=design.rule,
        guardrails=design.guardrails,
        traffic=[traffic.visitors / traffic.days],
        allocation=design.allocation,
    )
    return TrafficPlan(plan(question), traffic.visitors / traffic.days, baseline, traffic.active_share)


def read_week(surface: Surface, metric: Metric) -> WeekOfTraffic:
    """Return who came to a surface in the last week, and what they did of what a metric counts."""
    now = timezone.now()
    since = now - WEEK
    with connection.cursor() as cursor:
        cursor.execute(_VISITORS, [surface.project_id, surface.pk, since])
        visitors, first = cursor.fetchone()
        visitors_of = (surface.project_id, surface.pk, since)
        cursor.execute(_VALUES, [surface.project_id, metric.event, since, *visitors_of])
        active, mean, deviation = cursor.fetchone()
    # No unit has no mean, and one unit no deviation.
    days = (now - first) / timedelta(days=1) if first is not None else float(WEEK.days)
    days = min(max(days, 1.0), float(WEEK.days))
    return WeekOfTraffic(visitors, active, float(mean or 0), float(deviation or 0), days)
