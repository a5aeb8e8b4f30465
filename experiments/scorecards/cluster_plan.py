"""From the smallest change worth shipping to users and weeks of an experiment by clusters."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from django.db import connection
from django.utils import timezone

from experiments.bounds import MAX_COUNT
from experiments.kinds import PROPORTIONS
from experiments.scorecards.change_plan import CHOICES, RARE_SHARE, Choice, weeks_of
from experiments.scorecards.past_values import (
    COUNTED,
    compile_on_surface,
    spec_on,
    stretch_of,
    values_sql,
)
from experiments.scorecards.traffic_plan import (
    WEEK,
    WeekOfTraffic,
    days_since,
    plan_for_week,
    says_enough,
)
from experiments.stats.clusters import MIN_CLUSTERS
from experiments.stats.intracluster import (
    ClusterSums,
    clustered_users,
    design_effect,
    intracluster_correlation,
    size_imbalance,
)
from experiments.stats.policy import MAX_ATTRIBUTE
from experiments.stats.power import days_for
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from experiments.metrics.spec import MetricSpec
    from experiments.models import Metric
    from experiments.scorecards.traffic_plan import Design, TrafficPlan
    from inference.models import Surface

MIN_USERS = 2  # of each cluster, on average
ROUNDING = 1e-9  # relative: 200 * (1 - 0.9) is less than 20
Advice = Literal["larger_change", "more_clusters", "even_split", "commoner_event"]


def _sums_sql(spec: MetricSpec) -> str:
    """SQL of each cluster's users, whose values are those of a report.

    A unit's cluster is that of its first answer that names one, as a look takes it.
    """
    return f"""WITH o AS MATERIALIZED (
            SELECT DISTINCT ON (slate.unit_id) slate.unit_id,
                slate.context ->> %(cluster_by)s AS cluster, slate.served_at AS exposed_at
            FROM experiments_slate AS slate
            WHERE {COUNTED} AND coalesce(slate.context ->> %(cluster_by)s, '') <> ''
            ORDER BY slate.unit_id, slate.served_at),
        {values_sql(spec)}
        SELECT count(*), sum(contribution), sum(contribution * contribution),
            count(*) FILTER (WHERE value <> 0)
        FROM users GROUP BY cluster"""


_VISITORS = f"""SELECT count(*), count(DISTINCT cluster), min(exposed_at) FROM (
        SELECT DISTINCT ON (slate.unit_id) slate.context ->> %(cluster_by)s AS cluster,
            slate.served_at AS exposed_at
        FROM experiments_slate AS slate
        WHERE {COUNTED} AND coalesce(slate.context ->> %(cluster_by)s, '') <> ''
        ORDER BY slate.unit_id, slate.served_at) AS named"""


@dataclass(frozen=True, slots=True)
class WeekOfClusters:
    """A surface's clusters of the last week, and a metric's values of their users.

    Attributes:
        clusters: whose users' values were read: of a week whose windows have closed.
        traffic: of all their users together; its visitors and days are the last week's.
        past: clusters that had users in the last week.
    """

    clusters: Sequence[ClusterSums]
    traffic: WeekOfTraffic
    past: int


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What finding a change takes by clusters.

    Attributes:
        lift: the smallest relative change worth shipping.
        users: over both variants; None where no number in so few clusters is enough.
        weeks: full ones; None where it would take more than half a year, or for ever.
        power: with that many users.
        cluster_by: the attribute that names a cluster.
        past_clusters: that had users in the last week.
        clusters: those of them that take part.
        users_per_cluster: by the end of the experiment; of the last week where `users` is None.
        correlation: of two users of a cluster.
        design_effect: how many times more users than single users would need.
        visitors_per_day: who name a cluster.
        baseline: the metric now, per user.
        choices: what fixed durations find.
        advice: what makes it shorter, the most effective first; empty where it is not too long.
        is_complete: whether the outcomes that it rests on are.
    """

    lift: float
    users: int | None
    weeks: int | None
    power: float
    cluster_by: str
    past_clusters: int
    clusters: int
    users_per_cluster: float
    correlation: float
    design_effect: float
    visitors_per_day: float
    baseline: float
    choices: Sequence[Choice]
    advice: Sequence[Advice]
    is_complete: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as the API has it; its sentences are the caller's."""
        shown = asdict(self)
        del shown["is_complete"]  # a sentence says it
        names = {"lift": "min_lift", "users": "planned_units"}
        return {"mode": "cluster", **{names.get(name, name): value for name, value in shown.items()}}


def plan_clusters(
    surface: Surface, metric: Metric, design: Design, *, lift: float, cluster_by: str
) -> ClusterPlan:
    """Return how many users finding a change takes, by how alike last week's users of a cluster were.

    Args:
        surface: where.
        metric: that decides.
        design: of the experiment; its planned units and its rule are not read.
        lift: the smallest relative change worth shipping, above 0.
        cluster_by: the attribute of the request's context that names a cluster.

    Raises:
        NoTrafficError: nobody did what the metric counts.
        StatisticsError: a value breaks a rule, or fewer than 20 clusters would be in a variant.
    """
    if not 0 < lift < math.inf:
        raise StatisticsError(f"min_lift == {lift:g}, must be above 0.")
    check_clustered(surface, metric, design, cluster_by)
    week = read_clusters(surface, metric, cluster_by, window_seconds=design.window_seconds)
    design = replace(design, rule="fixed")
    taking_part = taking_part_of(week.past, design)
    single = plan_for_week(week.traffic, metric, replace(design, min_lift=lift))
    correlation, imbalance = intracluster_correlation(week.clusters), size_imbalance(week.clusters)
    users = clustered_users(single.plan.units, taking_part, correlation, imbalance)
    days = None
    if users is not None:
        # Clusters are judged by several users each, and those that nobody visited yet do not count.
        users = max(users, MIN_USERS * taking_part)
        days = days_for(users, [single.visitors_per_day], allocation=design.allocation)
    weeks = None if users is None else weeks_of(days)
    reached = users or week.traffic.visitors * design.allocation
    return ClusterPlan(
        lift=lift,
        users=users,
        weeks=weeks,
        power=single.plan.power,
        cluster_by=cluster_by,
        past_clusters=week.past,
        clusters=taking_part,
        users_per_cluster=reached / taking_part,
        correlation=correlation,
        design_effect=design_effect(reached, taking_part, correlation, imbalance),
        visitors_per_day=single.visitors_per_day,
        baseline=single.baseline,
        choices=[
            _choice(week, metric, design, weeks=n, clusters=taking_part, about=(correlation, imbalance))
            for n in CHOICES
        ],
        advice=_advice(design, metric, single) if weeks is None else (),
        is_complete=week.traffic.is_complete,
    )


def read_clusters(
    surface: Surface, metric: Metric, cluster_by: str, *, window_seconds: float | None = None
) -> WeekOfClusters:
    """Return the clusters that came to a surface in a week, with their users' values as in a report.

    As `read_week`: values are of users whose windows have closed, unless too few have.

    Args:
        surface: where.
        metric: whose values.
        cluster_by: the attribute that names a cluster.
        window_seconds: of users, for a metric without its own; None: the surface's.

    Raises:
        MetricError: the metric's fields break a rule.
    """
    now = timezone.now()
    spec = spec_on(surface, metric, window_seconds)
    until = now - timedelta(seconds=spec.complete_after_seconds)
    visitors, past, days = _read_visitors(surface, cluster_by, now)
    rows = _read_sums(surface, spec, cluster_by, until)
    is_complete = says_enough(
        spec, users=sum(row[0] for row in rows), active=sum(row[3] for row in rows), visitors=visitors
    )
    if not is_complete:
        rows = _read_sums(surface, spec, cluster_by, now)
    # A ratio has no value where nobody did what stands below the line.
    clusters = [ClusterSums(users, total or 0.0, squares or 0.0) for users, total, squares, _ in rows]
    users, active = sum(one.users for one in clusters), sum(row[3] for row in rows)
    total, squares = sum(one.total for one in clusters), sum(one.squares for one in clusters)
    mean = total / users if users else 0.0
    variance = max(squares - users * mean**2, 0.0) / (users - 1) if users > 1 else 0.0
    traffic = WeekOfTraffic(
        visitors=visitors,
        users=users,
        active=active,
        baseline=mean,
        deviation=math.sqrt(variance),
        days=days,
        is_complete=is_complete,
    )
    return WeekOfClusters(clusters, traffic, past)


def _read_visitors(surface: Surface, cluster_by: str, now: datetime) -> tuple[int, int, float]:
    """Return the last week's users who name a cluster, their clusters, and the days that they took."""
    parameters = stretch_of(surface, now - WEEK, now) | {"cluster_by": cluster_by}
    with connection.cursor() as cursor:
        cursor.execute(_VISITORS, parameters)
        visitors, clusters, first = cursor.fetchone()
    return visitors, clusters, days_since(first, now)


def _read_sums(
    surface: Surface, spec: MetricSpec, cluster_by: str, until: datetime
) -> Sequence[tuple[Any, ...]]:
    parameters = dict(compile_on_surface(spec).parameters) | stretch_of(surface, until - WEEK, until)
    with connection.cursor() as cursor:
        cursor.execute(_sums_sql(spec), parameters | {"cluster_by": cluster_by})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def taking_part_of(clusters: int, design: Design) -> int:
    """Return how many of the last week's clusters take part.

    Raises:
        StatisticsError: fewer than 20 of them would be in a variant.
    """
    taking_part = math.floor(clusters * design.allocation * (1 + ROUNDING))
    smaller = min(design.treatment_share, 1 - design.treatment_share)
    if taking_part * smaller * (1 + ROUNDING) < MIN_CLUSTERS:
        # A share of almost nothing would need infinitely many.
        needed = math.ceil(min(MIN_CLUSTERS / smaller * (1 - ROUNDING), MAX_COUNT))
        raise StatisticsError(
            f"clusters that take part == {taking_part} of last week's {clusters}, must be at least "
            f"{needed}: {MIN_CLUSTERS} for each variant."
        )
    return taking_part


def check_clustered(surface: Surface, metric: Metric, design: Design, cluster_by: str) -> None:
    """Refuse what no clusters are planned for.

    Raises:
        StatisticsError: shares out of range, a surface or a metric without clusters, or no attribute.
    """
    if not 0 < design.allocation <= 1:
        raise StatisticsError(f"allocation == {design.allocation:g}, must be in (0, 1].")
    if not 0 < design.treatment_share < 1:
        raise StatisticsError(f"treatment_share == {design.treatment_share:g}, must be in (0, 1).")
    kinds = surface.Kind
    if surface.kind not in {kinds.RECOMMEND, kinds.CLASSIFY, kinds.GENERATE}:
        raise StatisticsError(
            f"mode == 'cluster' on a surface of kind '{surface.kind}', must be on one whose requests "
            "name the cluster, and are stored: 'recommend', 'classify' or 'generate'."
        )
    if metric.kind == metric.Kind.QUANTILE:
        raise StatisticsError(f"metric == '{metric.key}', must be no quantile by clusters.")
    _check_name(cluster_by)


def _check_name(cluster_by: str) -> None:
    # PostgreSQL's texts have no NUL, so no context has it either.
    if not 0 < len(cluster_by) <= MAX_ATTRIBUTE or "\0" in cluster_by:
        raise StatisticsError(
            f"cluster_by == {cluster_by[:MAX_ATTRIBUTE]!r}, must name the attribute of the request's "
            "context that is randomised, such as 'store'."
        )


def _choice(
    week: WeekOfClusters,
    metric: Metric,
    design: Design,
    *,
    weeks: int,
    clusters: int,
    about: tuple[float, float],
) -> Choice:
    traffic = week.traffic
    units = math.floor(7 * weeks * traffic.visitors / traffic.days * design.allocation)
    effect = design_effect(units, clusters, *about)
    return Choice(weeks, units, lift_of_clustered(traffic, metric, design, units=units, effect=effect))


def lift_of_clustered(
    traffic: WeekOfTraffic, metric: Metric, design: Design, *, units: int, effect: float
) -> float | None:
    """Return the smallest change that users in clusters find, about; None where they find none.

    Args:
        traffic: of the last week.
        metric: that decides.
        design: of the experiment; its planned units and its rule are not read.
        units: users over both variants.
        effect: how many times more of them are needed than single users.
    """
    # As many single users would find the same.
    single = replace(design, rule="fixed", planned_units=math.floor(units / effect), min_lift=None)
    try:
        return plan_for_week(traffic, metric, single).plan.mde_relative
    except StatisticsError:  # too few users for any change
        return None


def _advice(design: Design, metric: Metric, single: TrafficPlan) -> list[Advice]:
    advice: list[Advice] = ["larger_change", "more_clusters"]
    if not math.isclose(design.treatment_share, 0.5):
        advice.append("even_split")
    if single.active_share < RARE_SHARE or metric.kind not in PROPORTIONS:
        advice.append("commoner_event")
    return advice
