"""What a planned number of users finds by interleaved lists, and by clusters, about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.scorecards.cluster_plan import (
    MIN_USERS,
    check_clustered,
    lift_of_clustered,
    read_clusters,
    taking_part_of,
)
from experiments.scorecards.interleaving_plan import check_lists, lift_of_lists
from experiments.scorecards.traffic_plan import read_week
from experiments.stats.intracluster import design_effect, intracluster_correlation, size_imbalance
from experiments.stats.power import days_for

if TYPE_CHECKING:
    from experiments.models import Metric
    from experiments.scorecards.traffic_plan import Design, WeekOfTraffic
    from inference.models import Surface


@dataclass(frozen=True, slots=True)
class ModePreview:
    """A planned number of users, and what they find.

    Attributes:
        users: that are planned.
        lift: the smallest relative change that they find; None: none.
        days: they take at the last week's traffic.
        visitors_per_day: of the surface.
        baseline: the metric now, per visitor.
        clusters: that take part; None where users are not clustered.
        is_complete: whether the outcomes that it rests on are.
    """

    users: int
    lift: float | None
    days: int
    visitors_per_day: float
    baseline: float
    clusters: int | None = None
    is_complete: bool = True


def preview_lists(surface: Surface, metric: Metric, design: Design) -> ModePreview:
    """Return what a planned number of users finds by interleaved lists.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        StatisticsError: the surface or the metric breaks a rule of interleaving.
    """
    check_lists(surface, metric)
    week = read_week(surface, metric, window_seconds=design.window_seconds)
    lift = lift_of_lists(week, metric, design.planned_units)
    return _preview(week, design, lift)


def preview_clusters(
    surface: Surface, metric: Metric, design: Design, *, cluster_by: str
) -> ModePreview:
    """Return what a planned number of users finds in last week's clusters.

    Raises:
        NoTrafficError: nobody did what the metric counts.
        StatisticsError: a value breaks a rule, or fewer than 20 clusters would be in a variant.
    """
    check_clustered(surface, metric, design, cluster_by)
    week = read_clusters(surface, metric, cluster_by, window_seconds=design.window_seconds)
    clusters, units = taking_part_of(week.past, design), design.planned_units
    about = intracluster_correlation(week.clusters), size_imbalance(week.clusters)
    effect = design_effect(units, clusters, *about)
    lift = None
    # Clusters are judged by several users each.
    if units >= MIN_USERS * clusters:
        lift = lift_of_clustered(week.traffic, metric, design, units=units, effect=effect)
    return _preview(week.traffic, design, lift, clusters=clusters)


def _preview(
    week: WeekOfTraffic,
    design: Design,
    lift: float | None,
    *,
    clusters: int | None = None,
) -> ModePreview:
    per_day = week.visitors / week.days
    days = days_for(design.planned_units, [per_day], allocation=design.allocation)
    return ModePreview(
        design.planned_units, lift, days, per_day, week.baseline, clusters, is_complete=week.is_complete
    )
