"""A plan in any of the modes of an experiment: the one that pages, API and agents ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.scorecards.change_plan import ChangePlan, plan_change
from experiments.scorecards.cluster_plan import ClusterPlan, plan_clusters
from experiments.scorecards.interleaving_plan import ListsPlan, plan_lists
from experiments.scorecards.switchback_plan import SwitchbackPlan, plan_switchback
from experiments.scorecards.traffic_plan import Design
from experiments.stats.totals import StatisticsError

if TYPE_CHECKING:
    from experiments.kinds import PlanMode, Rule
    from experiments.models import Metric
    from inference.models import Surface

AnyPlan = ChangePlan | ListsPlan | ClusterPlan | SwitchbackPlan


MIN_SIZE = 1e-6  # lift, and share of the traffic or of the users, that is planned for


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is planned for.

    Attributes:
        mode: of the experiment.
        lift: the smallest relative change worth shipping.
        treatment_share: of the units in the experiment, in (0, 1).
        allocation: share of the traffic in the experiment, in (0, 1].
        rule: by which it is judged; None as the mode has it.
        cluster_by: in mode cluster: the attribute that names a cluster.
        block_seconds: in mode switchback: length of a block.
        carry_over_seconds: in mode switchback: of its start, that counts for nobody.
    """

    mode: PlanMode = "split"
    lift: float = 0.05
    treatment_share: float = 0.5
    allocation: float = 1.0
    rule: Rule | None = None
    cluster_by: str = ""
    block_seconds: float = 0.0
    carry_over_seconds: float = 0.0


def plan_in_mode(surface: Surface, metric: Metric, request: PlanRequest) -> AnyPlan:
    """Return what finding a change takes on a surface, from its own traffic.

    Raises:
        NoTrafficError: nobody was served, or nobody did what the metric counts.
        FewBlocksError: fewer than 20 past blocks had users.
        StatisticsError: a value breaks a rule, or has no meaning in this mode.
    """
    _check_sizes(request)
    _check_mode(request)
    design = Design(
        treatment_share=request.treatment_share,
        rule=request.rule or ("group_sequential" if request.mode == "split" else "fixed"),
        allocation=request.allocation,
    )
    if request.mode == "interleave":
        return plan_lists(surface, metric, design, lift=request.lift)
    if request.mode == "cluster":
        return plan_clusters(surface, metric, design, lift=request.lift, cluster_by=request.cluster_by)
    if request.mode == "switchback":
        return plan_switchback(
            surface, metric, design, lift=request.lift, block_seconds=request.block_seconds,
            carry_over_seconds=request.carry_over_seconds,
        )  # fmt: skip
    return plan_change(surface, metric, design, lift=request.lift)


def _check_sizes(request: PlanRequest) -> None:
    """Refuse what no traffic could ever show: its number of users is beyond a float.

    Raises:
        StatisticsError: with the value and the rule.
    """
    sizes = {
        "min_lift": request.lift,
        "allocation": request.allocation,
        "treatment_share": request.treatment_share,
    }
    for name, value in sizes.items():
        if 0 < value < MIN_SIZE:
            raise StatisticsError(f"{name} == {value:g}, must be at least {MIN_SIZE:g}.")


def _check_mode(request: PlanRequest) -> None:
    """Refuse what another mode has.

    Raises:
        StatisticsError: with the value and the rule.
    """
    mode = request.mode
    for name in ("block_seconds", "carry_over_seconds"):
        if (value := getattr(request, name)) and mode != "switchback":
            raise StatisticsError(
                f"{name} == {value:g}, must be 0: mode == '{mode}', and only mode 'switchback' has "
                "blocks of time."
            )
    if request.cluster_by and mode != "cluster":
        raise StatisticsError(
            f"cluster_by == '{request.cluster_by}', must be empty: mode == '{mode}', and only mode "
            "'cluster' has one."
        )
    if mode == "interleave" and request.rule is not None:
        raise StatisticsError(
            f"rule == '{request.rule}', must be absent by interleaved lists: they are judged at any "
            "time."
        )
    if mode == "interleave" and request.treatment_share != 0.5:
        raise StatisticsError(
            f"treatment_share == {request.treatment_share:g}, must be 0.5 by interleaved lists: both "
            "versions fill them alike."
        )
    once = {
        "switchback": "by blocks: they are judged once, at their planned number.",
        "cluster": "by clusters: they are judged once, at the planned number of users.",
    }
    if mode in once and request.rule not in {None, "fixed"}:
        raise StatisticsError(f"rule == '{request.rule}', must be 'fixed' {once[mode]}")
