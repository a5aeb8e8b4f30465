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
from experiments.kinds import Rule
from experiments.scorecards.change_plan import find_metric, plan_change
from experiments.scorecards.plan_words import advice_in_words
from experiments.scorecards.traffic_plan import Design, NoTrafficError
from experiments.stats.totals import StatisticsError
from inference.models import Surface

router = Router(tags=["experiments"])


class PlanQuery(RequestSchema):
    """What is planned for; what is not named is as a new experiment has it."""

    metric: str = ""
    min_lift: float = 0.05
    allocation: float = 1.0
    treatment_share: float = 0.5
    rule: Rule = "group_sequential"


@router.get("/surfaces/{key}/plan", response={200: dict[str, Any]})
def plan_experiment(request: HttpRequest, key: str, query: Query[PlanQuery]) -> Any:
    """Return how many users and weeks finding a change takes, from the surface's last week of traffic.

    `metric` is the one that decides (default: the programme's, else the project's first one);
    `min_lift` the smallest relative change worth shipping. Where it would take more than half a year,
    `weeks` is null and `sentences` say what makes it shorter. `interleaved` is about what interleaved
    lists take on a recommend surface to say which version users prefer; null where they do not apply.
    """
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    design = Design(treatment_share=query.treatment_share, rule=query.rule, allocation=query.allocation)
    try:
        metric = find_metric(surface, query.metric)
        plan = plan_change(surface, metric, design, lift=query.min_lift)
    except (NoTrafficError, StatisticsError) as error:
        raise Problem(422, "invalid_plan", str(error)) from error
    with override("en"):
        sentences = advice_in_words(plan, metric)
    return {"surface": surface.key, "metric": metric.key, **plan.as_json(), "sentences": sentences}
