"""Refuse a switchback whose blocks of time could not be told apart, or that no look could judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.check_above_users import check_judgement, check_settings, require
from experiments.metrics.spec import MetricSpec
from experiments.models import Experiment
from experiments.stats.block_lengths import why_not_lengths
from experiments.stats.clusters import MIN_CLUSTERS
from inference.models import Surface

if TYPE_CHECKING:
    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.stats.policy import Policy

MAX_PLAN_SECONDS = 366 * 86_400.0
DAY = 86_400.0


def check_switchback(draft: ExperimentDraft, policy: Policy) -> None:
    """Refuse what blocks of time cannot do; of every other mode, lengths that only blocks have.

    Raises:
        CannotRandomiseAboveError: blocks too short, or not much longer than their carry-over, a plan
            that no verdict can follow from, a flag, part of the traffic, a metric that does not end
            with its block, or what clusters cannot do either.
    """
    if draft.mode != Experiment.Mode.SWITCHBACK:
        for name in ("block_seconds", "carry_over_seconds"):
            value = getattr(policy, name)
            require(
                value == 0,
                f"{name} == {value:g}, must be 0: mode == '{draft.mode}', and only mode 'switchback' "
                "has blocks of time.",
                "policy",
            )
        return
    require(
        draft.surface.kind != Surface.Kind.FLAG,
        f"mode == 'switchback' on a surface of kind '{draft.surface.kind}', must be on one whose "
        "answers are stored: clients remember flags beyond a block.",
        "mode",
    )
    _check_blocks(policy)
    why_once = "they are judged once, at their planned number"
    check_judgement(draft, policy, by="blocks", why_once=why_once)
    _check_metrics(draft, policy)
    check_settings(draft, by="blocks", whose="the block")
    require(
        draft.allocation == 1,
        f"allocation == {draft.allocation:g}, must be 1 by blocks: all users of a block share its "
        "variant.",
        "allocation",
    )


def _check_blocks(policy: Policy) -> None:
    length = policy.block_seconds
    why_not = why_not_lengths(length, policy.carry_over_seconds)
    require(not why_not, why_not, "policy")
    planned, fewest = policy.planned_units, 2 * MIN_CLUSTERS
    require(
        planned >= fewest,
        f"planned_units == {planned}, must be at least {fewest} blocks, {MIN_CLUSTERS} a variant: "
        "in a switchback planned_units counts blocks.",
        "policy",
    )
    require(
        planned * length <= MAX_PLAN_SECONDS,
        f"planned_units == {planned} blocks of {length:g} s take {planned * length / DAY:,.0f} days, "
        f"must take at most {MAX_PLAN_SECONDS / DAY:.0f}: in a switchback planned_units counts blocks.",
        "policy",
    )


def _check_metrics(draft: ExperimentDraft, policy: Policy) -> None:
    for one in draft.metrics:
        spec = MetricSpec.of(one.metric, default_window_seconds=policy.window_seconds)
        require(
            spec.delay_seconds == 0,
            f"metric '{spec.key}' has delay_seconds == {spec.delay_seconds:g}, must be 0 by blocks: "
            "what comes later falls in another block.",
            "metrics",
        )
