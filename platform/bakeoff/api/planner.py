"""The planner: from the smallest change worth shipping to users and weeks."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import override
from ninja import Query, Router

from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from bakeoff.plan_answers import plan_as_json
from experiments.kinds import PlanMode, Rule
from experiments.scorecards.block_plan import FewBlocksError
from experiments.scorecards.change_plan import find_metric
from experiments.scorecards.mode_plan import PlanRequest, plan_in_mode
from experiments.scorecards.traffic_plan import NoTrafficError
from experiments.stats.totals import StatisticsError
from inference.models import Surface

router = Router(tags=["experiments"])


class PlanQuery(RequestSchema):
    """What is planned for; what is not named is as a new experiment has it."""

    metric: str = ""
    min_lift: float = 0.05
    allocation: float = 1.0
    treatment_share: float = 0.5
    rule: Rule | None = None
    mode: PlanMode = "split"
    cluster_by: str = ""
    block_seconds: float = 0.0
    carry_over_seconds: float = 0.0


@router.get("/surfaces/{key}/plan", response={200: dict[str, Any]})
def plan_experiment(request: HttpRequest, key: str, query: Query[PlanQuery]) -> Any:
    """Return how many users and weeks finding a change takes, from the surface's last week of traffic.

    `metric` is the one that decides (default: the programme's, else that of the surface's latest
    experiment, else the project's first one), with the values that a report would give its users;
    `min_lift` the smallest relative change worth shipping. Where it would take more than half a year,
    `weeks` is null and `sentences` say what makes it shorter. `interleaved` is about what interleaved
    lists take on a recommend surface to say which version users prefer; null where they do not apply.

    With `mode=interleave` it is the plan of interleaved lists, about, and `split_users` is what a test
    would take. With `mode=cluster` it is of users in clusters, which the attribute `cluster_by` of the
    requests' context names: `past_clusters` had users last week, `clusters` of them take part,
    `correlation` says how alike the users of one are, and `planned_units` is null where so few clusters
    never show the change.

    With `mode=switchback` the plan is of blocks of time: `planned_units` are blocks of `block_seconds`,
    of which the first `carry_over_seconds` count for nobody; `block_deviation` is how the metric varied
    between the surface's `past_blocks`.
    """
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        metric = find_metric(surface, query.metric)
        plan = plan_in_mode(surface, metric, _request_of(query))
    except (FewBlocksError, NoTrafficError, StatisticsError) as error:
        raise Problem(422, "invalid_plan", str(error)) from error
    with override("en"):
        return {"surface": surface.key, "metric": metric.key, **plan_as_json(plan, metric)}


def _request_of(query: PlanQuery) -> PlanRequest:
    return PlanRequest(
        mode=query.mode,
        lift=query.min_lift,
        treatment_share=query.treatment_share,
        allocation=query.allocation,
        rule=query.rule,
        cluster_by=query.cluster_by,
        block_seconds=query.block_seconds,
        carry_over_seconds=query.carry_over_seconds,
    )
