"""The planner: from the smallest change worth shipping to users and weeks."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from django.utils.translation import override
from ninja import Query, Router

from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.request_schema import RequestSchema
from experiments.kinds import Rule
from experiments.models import Metric
from experiments.reports.remaining import describe_seconds
from experiments.scorecards.block_plan import FewBlocksError
from experiments.scorecards.change_plan import find_metric, plan_change
from experiments.scorecards.plan_words import advice_in_words, switchback_in_words
from experiments.scorecards.switchback_plan import plan_switchback
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
    rule: Rule | None = None
    mode: Literal["split", "switchback"] = "split"
    block_seconds: float = 0.0
    carry_over_seconds: float = 0.0


@router.get("/surfaces/{key}/plan", response={200: dict[str, Any]})
def plan_experiment(request: HttpRequest, key: str, query: Query[PlanQuery]) -> Any:
    """Return how many users and weeks finding a change takes, from the surface's last week of traffic.

    `metric` is the one that decides (default: the programme's, else the project's first one);
    `min_lift` the smallest relative change worth shipping. Where it would take more than half a year,
    `weeks` is null and `sentences` say what makes it shorter. `interleaved` is about what interleaved
    lists take on a recommend surface to say which version users prefer; null where they do not apply.

    With `mode=switchback` the plan is of blocks of time: `planned_units` are blocks of `block_seconds`,
    of which the first `carry_over_seconds` count for nobody; `block_deviation` is how the metric varied
    between the surface's `past_blocks`.
    """
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        metric = find_metric(surface, query.metric)
        answer = (_plan_blocks if query.mode == "switchback" else _plan_users)(surface, metric, query)
    except (FewBlocksError, NoTrafficError, StatisticsError) as error:
        raise Problem(422, "invalid_plan", str(error)) from error
    return {"surface": surface.key, "metric": metric.key, **answer}


def _plan_users(surface: Surface, metric: Metric, query: PlanQuery) -> dict[str, Any]:
    for name in ("block_seconds", "carry_over_seconds"):
        if value := getattr(query, name):
            raise StatisticsError(
                f"{name} == {value:g}, must be 0: mode == 'split', and only mode 'switchback' has "
                "blocks of time."
            )
    design = Design(
        treatment_share=query.treatment_share,
        rule=query.rule or "group_sequential",
        allocation=query.allocation,
    )
    plan = plan_change(surface, metric, design, lift=query.min_lift)
    with override("en"):
        return {"mode": query.mode, **plan.as_json(), "sentences": advice_in_words(plan, metric)}


def _plan_blocks(surface: Surface, metric: Metric, query: PlanQuery) -> dict[str, Any]:
    if query.rule not in {None, "fixed"}:
        raise StatisticsError(
            f"rule == '{query.rule}', must be 'fixed' by blocks: they are judged once, at their "
            "planned number."
        )
    design = Design(treatment_share=query.treatment_share, allocation=query.allocation, rule="fixed")
    plan = plan_switchback(
        surface,
        metric,
        design,
        lift=query.min_lift,
        block_seconds=query.block_seconds,
        carry_over_seconds=query.carry_over_seconds,
    )
    with override("en"):
        sentences = switchback_in_words(
            plan,
            metric,
            length=describe_seconds(plan.block_seconds),
            carry_over=describe_seconds(plan.carry_over_seconds),
        )
    return plan.as_json() | {"sentences": sentences}
