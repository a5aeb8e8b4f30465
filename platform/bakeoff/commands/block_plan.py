"""`bakeoff power --block-seconds`: a plan of a switchback, whose units are blocks of time."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from bakeoff.commands.terminal import Refusal, console, echo
from bakeoff.commands.traffic_plan import design_of, refuse_what_traffic_says, show_traffic_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Metric
    from experiments.scorecards.plan import Plan, PlanQuestion
    from experiments.scorecards.switchback_plan import SwitchbackPlan
    from inference.models import Surface

DAY = 86_400.0
# What blocks of time have no use for: they come by themselves, and are judged once.
NOT_BY_BLOCKS = {"traffic": None, "allocation": 1.0}
WHY = {
    "rule": "they are judged once, at their planned number",
    "kind": "they are summed",
}


def settle_blocks(options: dict[str, Any]) -> tuple[float, float] | None:
    """Take the lengths out of the options, and set what follows from them; None without blocks.

    Raises:
        Refusal: a length breaks its rule, or an option has no meaning by blocks.
    """
    from experiments.stats.block_lengths import why_not_lengths

    length, carry_over = options.pop("block_seconds"), options.pop("carry_over_seconds")
    if length is None:
        if carry_over is not None:
            raise Refusal(
                "carry_over_seconds: --carry-over-seconds must be given with --block-seconds."
            )
        return None
    if why_not := why_not_lengths(length, carry_over or 0.0):
        raise Refusal(why_not)
    for name, usual in NOT_BY_BLOCKS.items():
        if options[name] != usual:
            raise Refusal(
                f"{name}: --{name} must not be given with --block-seconds: all users take part."
            )
    for name, expected, others in (("rule", "fixed", ()), ("kind", "mean", ("ratio",))):
        if _was_typed(name) and options[name] not in {expected, *others}:
            choice = " or ".join(repr(one) for one in (expected, *others))
            raise Refusal(f"{name} == '{options[name]}', must be {choice} by blocks: {WHY[name]}.")
        options[name] = options[name] if _was_typed(name) else expected
    options["window_days"] = 0.0
    return length, carry_over or 0.0


def _was_typed(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def plan_enough_blocks(question: PlanQuestion) -> Plan:
    """Return the plan, of at least so many blocks that each variant can be expected to have 20.

    Raises:
        StatisticsError: a value breaks its rule, or there are fewer units.
    """
    from experiments.scorecards.plan import plan
    from experiments.stats.clusters import MIN_CLUSTERS
    from experiments.stats.totals import StatisticsError

    fewest = math.ceil(MIN_CLUSTERS / min(question.fractions))
    if question.units is not None and question.units < fewest:
        raise StatisticsError(
            f"units == {question.units:g}, must be at least {fewest} blocks, {MIN_CLUSTERS} a variant."
        )
    result = plan(question)
    if result.units < fewest:
        result = plan(replace(question, mde=None, absolute=False, units=float(fewest)))
    return replace(result, units_interleaved=None)  # lists are interleaved for users


def show_surface_plan(
    surface: Surface,
    metric_key: str | None,
    form: str,
    options: Mapping[str, Any],
    lengths: tuple[float, float] | None,
) -> None:
    """Print a plan from the surface's own traffic: of users, or of blocks of time.

    Raises:
        Refusal: no --mde, an option that the traffic answers, or too little traffic.
    """
    if lengths is None:
        show_traffic_plan(surface, metric_key, form, options)
    else:
        show_block_plan(surface, metric_key, form, options, lengths)


def show_block_plan(
    surface: Surface,
    metric_key: str | None,
    form: str,
    options: Mapping[str, Any],
    lengths: tuple[float, float],
) -> None:
    """Print a plan from the surface's own past blocks.

    Raises:
        Refusal: no --mde, an option that the traffic answers, or too few past blocks.
    """
    from experiments.replica import read_from_replica
    from experiments.reports.remaining import describe_seconds
    from experiments.scorecards.block_plan import FewBlocksError
    from experiments.scorecards.change_plan import find_metric
    from experiments.scorecards.plan_words import switchback_in_words
    from experiments.scorecards.switchback_plan import plan_switchback
    from experiments.stats.totals import StatisticsError

    refuse_what_traffic_says(options)
    length, carry_over = lengths
    try:
        metric = find_metric(surface, metric_key or "")
        plan = read_from_replica(
            lambda: plan_switchback(
                surface, metric, design_of(options), lift=options["mde"], block_seconds=length,
                carry_over_seconds=carry_over,
            )
        )  # fmt: skip
    except (FewBlocksError, StatisticsError) as error:
        raise Refusal(str(error)) from error
    sentences = switchback_in_words(
        plan, metric, length=describe_seconds(length), carry_over=describe_seconds(carry_over)
    )
    if form == "json":
        about = {"surface": surface.key, "metric": metric.key}
        click.echo(json.dumps(about | plan.as_json() | {"sentences": sentences}, indent=1))
        return
    _show(plan, metric, describe_seconds(length))
    for sentence in sentences:
        echo(f"  {sentence}")


def _show(plan: SwitchbackPlan, metric: Metric, length: str) -> None:
    if plan.weeks is None:
        echo(f"Too long for a change of {plan.lift:+.3g} in {metric}: more than half a year.")
    else:
        weeks = f"{plan.weeks} week{'s' if plan.weeks > 1 else ''}"
        blocks = f"{plan.planned_blocks:,} blocks of {length}"
        echo(f"{blocks}, {weeks} for a change of {plan.lift:+.1%} in {metric}.")
    table = Table("weeks", "blocks", "finds changes from", title="If you have less or more time")
    for one in plan.choices:
        lift = "–" if one.lift is None else f"{one.lift:+.1%}"
        table.add_row(str(one.weeks), f"{one.units:,}", lift)
    console.print(table)
