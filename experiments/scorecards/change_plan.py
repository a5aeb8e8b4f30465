"""From the smallest change worth shipping to users and weeks; where too long, what to change."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from experiments.kinds import PROPORTIONS
from experiments.metrics.spec import counts_items
from experiments.models import ExperimentMetric, programme_of
from experiments.scorecards.traffic_plan import plan_for_week, read_week
from experiments.stats.power import days_for
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.models import Metric
    from experiments.scorecards.plan import Plan
    from experiments.scorecards.traffic_plan import Design, TrafficPlan, WeekOfTraffic
    from inference.models import Surface

# Nobody waits for longer: products, seasons and the champion change meanwhile.
MAX_WEEKS = 26
# Durations to choose among, in weeks.
CHOICES = (1, 2, 4, 8)
# Below this share of visitors with the event, a metric that more of them reach is the better advice.
RARE_SHARE = 0.1
Advice = Literal["interleave", "larger_change", "more_traffic", "even_split", "commoner_event"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a duration finds.

    Attributes:
        weeks: that it takes.
        units: over all variants.
        lift: the smallest relative change that it shows; None where no change can be shown.
    """

    weeks: int
    units: int
    lift: float | None


@dataclass(frozen=True, slots=True)
class InterleavedPlan:
    """What interleaved lists need to say which version users prefer, about.

    Attributes:
        users: that get them.
        weeks: full ones; None where it would take more than half a year.
    """

    users: int
    weeks: int | None


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """What finding a change takes on a surface.

    Attributes:
        lift: the smallest relative change worth shipping.
        plan: users and days; None where there is no such plan.
        weeks: full ones, so that each weekday counts alike; None where it would take more than half a
            year.
        visitors_per_day: of the surface.
        baseline: the metric now, per visitor.
        gain_per_week: what the change is worth in the metric's unit, if every visitor gets it.
        choices: what fixed durations find.
        advice: what makes it shorter, the most effective first; empty where it is not too long.
        interleaved: the same by interleaved lists; None where they do not apply: of other surfaces, of
            metrics that no item is credited with, and of changes too small for them.
        is_complete: whether the outcomes that it rests on are.
    """

    lift: float
    plan: Plan
    weeks: int | None
    visitors_per_day: float
    baseline: float
    gain_per_week: float
    choices: Sequence[Choice]
    advice: Sequence[Advice]
    interleaved: InterleavedPlan | None = None
    is_complete: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it; its sentence is the caller's."""
        return {
            "min_lift": self.lift,
            "planned_units": self.plan.units,
            "weeks": self.weeks,
            "power": self.plan.power,
            "visitors_per_day": self.visitors_per_day,
            "baseline": self.baseline,
            "gain_per_week": self.gain_per_week,
            "choices": [asdict(one) for one in self.choices],
            "advice": list(self.advice),
            "interleaved": asdict(self.interleaved) if self.interleaved is not None else None,
        }


def find_metric(surface: Surface, key: str) -> Metric:
    """Return the metric of a key; without one the programme's primary metric.

    Else that of the surface's latest experiment, else the project's oldest metric.

    Raises:
        StatisticsError: the project has no such metric, or none at all.
    """
    metrics = {metric.key: metric for metric in surface.project.metrics.order_by("pk")}
    name = key or _primary_of(surface) or _first_of(metrics.values())
    if name not in metrics:
        raise StatisticsError(f"metric == '{name}', must be one of {sorted(metrics)}.")
    return metrics[name]


def _first_of(metrics: Iterable[Metric]) -> str:
    return next((metric.key for metric in metrics if metric.archived_at is None), "")


def _primary_of(surface: Surface) -> str:
    """Return the key of the metric that decides on a surface; nothing where none has yet."""
    if (chosen := programme_of(surface).primary_metric) is not None:
        return chosen.key
    primary = ExperimentMetric.Role.PRIMARY
    latest = ExperimentMetric.objects.filter(
        experiment__surface=surface, role=primary, metric__archived_at=None
    )
    return latest.order_by("-experiment").values_list("metric__key", flat=True).first() or ""


def plan_change(
    surface: Surface,
    metric: Metric,
    design: Design,
    *,
    lift: float,
    traffic: WeekOfTraffic | None = None,
) -> ChangePlan:
    """Return what finding a change takes at the last week's traffic.

    Args:
        surface: where.
        metric: that decides.
        design: of the experiment; its planned units are what is asked for.
        lift: the smallest relative change worth shipping, above 0.
        traffic: of the last week; None: it is read.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        StatisticsError: the lift is not above 0, or the design breaks a rule.
    """
    if not 0 < lift < math.inf:
        raise StatisticsError(f"min_lift == {lift:g}, must be above 0.")
    if traffic is None:
        traffic = read_week(surface, metric, window_seconds=design.window_seconds)
    result = plan_for_week(traffic, metric, replace(design, min_lift=lift))
    weeks = weeks_of(result.plan.days)
    interleaved = _interleaved(surface, metric, design, result)
    return ChangePlan(
        lift=lift,
        plan=result.plan,
        weeks=weeks,
        visitors_per_day=result.visitors_per_day,
        baseline=result.baseline,
        gain_per_week=7 * result.visitors_per_day * result.baseline * lift,
        choices=[_choice(traffic, metric, design, weeks=n) for n in CHOICES],
        advice=_advice(design, metric, result.active_share, interleaved) if weeks is None else (),
        interleaved=interleaved,
        is_complete=traffic.is_complete,
    )


def weeks_of(days: int | None) -> int | None:
    """Return how many full weeks a plan takes, so that each weekday counts alike; None: too many."""
    weeks = max(math.ceil((days or 0) / 7), 1)
    return weeks if weeks <= MAX_WEEKS else None


def _interleaved(
    surface: Surface, metric: Metric, design: Design, result: TrafficPlan
) -> InterleavedPlan | None:
    """Return what interleaving takes, where it applies; it has no split of users to plan for."""
    users = result.plan.units_interleaved
    applies = surface.kind == surface.Kind.RECOMMEND and counts_items(metric)
    if users is None or not applies or metric.direction != "increase":
        return None
    days = days_for(users, [result.visitors_per_day], allocation=design.allocation)
    return InterleavedPlan(users, weeks_of(days))


def _choice(traffic: WeekOfTraffic, metric: Metric, design: Design, *, weeks: int) -> Choice:
    units = math.floor(7 * weeks * traffic.visitors / traffic.days * design.allocation)
    try:
        result = plan_for_week(traffic, metric, replace(design, planned_units=units, min_lift=None))
    except StatisticsError:  # too few users for any change
        return Choice(weeks, units, None)
    return Choice(weeks, units, result.plan.mde_relative)


def _advice(
    design: Design, metric: Metric, active_share: float, interleaved: InterleavedPlan | None
) -> list[Advice]:
    advice: list[Advice] = ["larger_change"]
    if interleaved is not None and interleaved.weeks is not None:
        advice.insert(0, "interleave")
    if design.allocation < 1:
        advice.append("more_traffic")
    if not math.isclose(design.treatment_share, 0.5):
        advice.append("even_split")
    if active_share < RARE_SHARE or metric.kind not in PROPORTIONS:
        advice.append("commoner_event")
    return advice
