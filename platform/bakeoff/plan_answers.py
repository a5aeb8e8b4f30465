"""A plan of any mode in words and as JSON: one answer for pages, API and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from experiments.reports.remaining import describe_seconds
from experiments.scorecards.change_plan import ChangePlan
from experiments.scorecards.cluster_plan import ClusterPlan
from experiments.scorecards.interleaving_plan import ListsPlan
from experiments.scorecards.plan_words import (
    advice_in_words,
    clusters_in_words,
    lists_in_words,
    switchback_in_words,
)
from experiments.scorecards.switchback_plan import SwitchbackPlan

if TYPE_CHECKING:
    from experiments.models import Metric
    from experiments.scorecards.block_plan import FewBlocksError
    from experiments.scorecards.mode_plan import AnyPlan


def sentences_of(plan: AnyPlan, metric: Metric) -> list[str]:
    """Return what a plan rests on and, where it is too long, what makes it shorter."""
    if isinstance(plan, SwitchbackPlan):
        return switchback_in_words(
            plan,
            metric,
            length=describe_seconds(plan.block_seconds),
            carry_over=describe_seconds(plan.carry_over_seconds),
        )
    if isinstance(plan, ClusterPlan):
        return clusters_in_words(plan, metric)
    if isinstance(plan, ListsPlan):
        return lists_in_words(plan, metric)
    return advice_in_words(plan, metric)


def plan_as_json(plan: AnyPlan, metric: Metric) -> dict[str, Any]:
    """Return a plan of any mode as the API has it, with its sentences."""
    mode = {"mode": "split"} if isinstance(plan, ChangePlan) else {}
    return {**mode, **plan.as_json(), "sentences": sentences_of(plan, metric)}


def amount_in_words(plan: AnyPlan) -> str:
    """Say how many users, or blocks of time, a plan takes: what a reader looks for first."""
    if isinstance(plan, SwitchbackPlan):
        words = {"count": f"{plan.planned_blocks:,}", "length": describe_seconds(plan.block_seconds)}
        return _("%(count)s blocks of %(length)s") % words
    units = plan.plan.units if isinstance(plan, ChangePlan) else plan.users
    if units is None:
        return ""
    count = {"users": f"{units:,}"}
    if isinstance(plan, ListsPlan):
        return _("About %(users)s users") % count
    if isinstance(plan, ClusterPlan):
        words = count | {"clusters": f"{plan.clusters:,}"}
        return ngettext(
            "%(users)s users of %(clusters)s cluster", "%(users)s users of %(clusters)s clusters",
            plan.clusters,
        ) % words  # fmt: skip
    return ngettext("%(users)s user", "%(users)s users", units) % count


def few_blocks_in_words(error: FewBlocksError) -> str:
    """Say how many past blocks there were, where they are too few to plan from."""
    return _(
        "Not enough traffic: %(count)s past blocks of %(length)s had users, and 20 are needed, "
        "with the metric's events in some of them."
    ) % {"count": error.blocks, "length": describe_seconds(error.seconds)}
