"""`bakeoff power --surface`: a plan from the surface's own traffic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from bakeoff.commands.terminal import Refusal, console, echo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Metric
    from experiments.scorecards.change_plan import ChangePlan
    from experiments.scorecards.traffic_plan import Design
    from inference.models import Surface

# What the traffic says itself.
FROM_TRAFFIC = ("baseline", "sd", "density", "units", "traffic", "correlation", "absolute")


def show_traffic_plan(
    surface: Surface, metric_key: str | None, form: str, options: Mapping[str, Any]
) -> None:
    """Print the plan, or in words what makes one that is too long shorter.

    Raises:
        Refusal: no --mde, an option that the traffic answers, or no traffic.
    """
    from experiments.replica import read_from_replica
    from experiments.scorecards.change_plan import find_metric, plan_change
    from experiments.scorecards.plan_words import advice_in_words
    from experiments.scorecards.traffic_plan import NoTrafficError
    from experiments.stats.totals import StatisticsError

    refuse_what_traffic_says(options)
    try:
        metric = find_metric(surface, metric_key or "")
        design = design_of(options)
        plan = read_from_replica(lambda: plan_change(surface, metric, design, lift=options["mde"]))
    except (NoTrafficError, StatisticsError) as error:
        raise Refusal(str(error)) from error
    sentences = advice_in_words(plan, metric)
    if form == "json":
        answer = {
            "surface": surface.key,
            "metric": metric.key,
            "mode": "split",
            **plan.as_json(),
            "sentences": sentences,
        }
        click.echo(json.dumps(answer, indent=1, allow_nan=False))
        return
    _show(plan, metric)
    for sentence in sentences:
        echo(f"  {sentence}")


def refuse_what_traffic_says(options: Mapping[str, Any]) -> None:
    """Refuse options that the surface's own traffic answers, and a plan without a change.

    Raises:
        Refusal: one of them is there, or no --mde.
    """
    named = [f"--{name}" for name in FROM_TRAFFIC if options.get(name)]
    if named:
        raise Refusal(f"{', '.join(named)}: must not be given with --surface, its traffic says it.")
    if options["mde"] is None:
        raise Refusal("mde: --mde must be given, the smallest change worth shipping.")


def design_of(options: Mapping[str, Any]) -> Design:
    """Return what the options say of the experiment's design.

    Raises:
        Refusal: the split is not two positive shares.
    """
    from experiments.scorecards.traffic_plan import Design

    try:
        control, treatment = (float(part) for part in str(options["split"]).split("/"))
    except ValueError as error:
        raise Refusal(
            f"split == '{options['split']}', must be two shares as 50/50 with --surface."
        ) from error
    if not (control > 0 and treatment > 0):
        raise Refusal(f"split == '{options['split']}', must be two positive shares.")
    return Design(
        treatment_share=treatment / (control + treatment),
        rule=options["rule"],
        guardrails=options["guardrails"],
        allocation=options["allocation"],
    )


def _show(plan: ChangePlan, metric: Metric) -> None:
    from experiments.scorecards.plan_words import describe_interleaved

    if plan.weeks is None:
        echo(f"Too long for a change of {plan.lift:+.3g} in {metric}: more than half a year.")
    else:
        weeks = f"{plan.weeks} week{'s' if plan.weeks > 1 else ''}"
        echo(f"{plan.plan.units:,} users, {weeks} for a change of {plan.lift:+.1%} in {metric}.")
        if sentence := describe_interleaved(plan):
            echo(sentence)
    table = Table("weeks", "users", "finds changes from", title="If you have less or more time")
    for one in plan.choices:
        lift = "–" if one.lift is None else f"{one.lift:+.1%}"
        table.add_row(str(one.weeks), f"{one.units:,}", lift)
    console.print(table)
    echo(f"{plan.visitors_per_day:,.0f} visitors a day; {metric} now {plan.baseline:.4g} per visitor.")
