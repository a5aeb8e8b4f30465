"""From the smallest change worth knowing to users and weeks of interleaved lists."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.metrics.spec import counts_items
from experiments.scorecards.change_plan import CHOICES, Choice, plan_change
from experiments.scorecards.traffic_plan import Design, plan_for_week, read_week
from experiments.stats.interleaving import UNRELIABLE_LIFT
from experiments.stats.interleaving_power import CLOSE_LIFT, equal_test
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric
    from experiments.scorecards.traffic_plan import WeekOfTraffic
    from inference.models import Surface


@dataclass(frozen=True, slots=True)
class ListsPlan:
    """What saying which of two versions users prefer takes by interleaved lists, about.

    Attributes:
        lift: the smallest relative change worth knowing.
        users: that get both versions' items.
        weeks: full ones; None where it would take more than half a year.
        split_users: that a test of the same change needs.
        split_weeks: of that test; None where it would take more than half a year.
        visitors_per_day: of the surface.
        baseline: the metric now, per visitor.
        choices: what fixed durations find.
        is_complete: whether the outcomes that it rests on are.
    """

    lift: float
    users: int
    weeks: int | None
    split_users: int
    split_weeks: int | None
    visitors_per_day: float
    baseline: float
    choices: Sequence[Choice]
    is_complete: bool = True

    @property
    def advice(self) -> Sequence[str]:
        """What makes it shorter, the most effective first; empty where it is not too long."""
        return ("larger_change",) if self.weeks is None else ()

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it; its sentences are the caller's."""
        shown = asdict(self)
        del shown["is_complete"]  # a sentence says it
        names = {"lift": "min_lift", "users": "planned_units"}
        values = {names.get(name, name): value for name, value in shown.items()}
        return {"mode": "interleave", **values, "advice": list(self.advice)}


def plan_lists(surface: Surface, metric: Metric, design: Design, *, lift: float) -> ListsPlan:
    """Return what interleaving takes, by the users that a test would take.

    Args:
        surface: whose lists.
        metric: that decides.
        design: of the experiment; its planned units, its rule and its split are not read.
        lift: the smallest relative change worth knowing.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        StatisticsError: the surface, the metric, the lift or the design breaks a rule.
    """
    check_lists(surface, metric)
    if not UNRELIABLE_LIFT <= lift < math.inf:
        raise StatisticsError(
            f"min_lift == {lift:g}, must be at least {UNRELIABLE_LIFT:g} by interleaved lists: of "
            "closer versions they do not tell reliably which is better."
        )
    week = read_week(surface, metric, window_seconds=design.window_seconds)
    halves = replace(design, treatment_share=0.5)
    test = plan_change(surface, metric, halves, lift=lift, traffic=week)
    interleaved = test.interleaved
    # Its conditions are those above: the plan has the stated lift, not one computed from it.
    assert interleaved is not None  # noqa: S101
    return ListsPlan(
        lift=lift,
        users=interleaved.users,
        weeks=interleaved.weeks,
        split_users=test.plan.units,
        split_weeks=test.weeks,
        visitors_per_day=test.visitors_per_day,
        baseline=test.baseline,
        choices=[_choice(week, metric, design, weeks=n) for n in CHOICES],
        is_complete=week.is_complete,
    )


def check_lists(surface: Surface, metric: Metric) -> None:
    """Refuse what no lists are interleaved for.

    Raises:
        StatisticsError: a surface of another kind, or a metric that does not count events of items.
    """
    if surface.kind != surface.Kind.RECOMMEND:
        raise StatisticsError(
            f"mode == 'interleave' on a surface of kind '{surface.kind}', must be on one of kind "
            "'recommend': only lists are interleaved."
        )
    if not counts_items(metric) or metric.direction != "increase":
        raise StatisticsError(
            f"metric == '{metric.key}', must count events of items, more of which are better, by "
            "interleaved lists."
        )


def _choice(week: WeekOfTraffic, metric: Metric, design: Design, *, weeks: int) -> Choice:
    users = math.floor(7 * weeks * week.visitors / week.days * design.allocation)
    return Choice(weeks, users, lift_of_lists(week, metric, users))


def lift_of_lists(week: WeekOfTraffic, metric: Metric, users: int) -> float | None:
    """Return the smallest change that users of interleaved lists find, about; None: none.

    Args:
        week: of the surface's traffic.
        metric: that decides.
        users: that get both versions' items.
    """
    lift = _min_lift(week, metric, equal_test(users, close=True))
    if lift is not None and lift < CLOSE_LIFT:
        return max(lift, UNRELIABLE_LIFT)
    lift = _min_lift(week, metric, equal_test(users, close=False))
    return None if lift is None else max(lift, CLOSE_LIFT)


def _min_lift(week: WeekOfTraffic, metric: Metric, users: float) -> float | None:
    """Return the smallest change that a test with one look finds; None where it finds none.

    Without a covariate, which interleaved lists do not have either.
    """
    design = Design(planned_units=math.floor(users), rule="fixed")
    try:
        return plan_for_week(replace(week, correlation=0.0), metric, design).plan.mde_relative
    except StatisticsError:  # too few users for any change
        return None
