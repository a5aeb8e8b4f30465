"""`bakeoff power`: how many units a verdict needs, how long they take, and what few units can show."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from bakeoff.commands.block_plan import DAY, plan_enough_blocks, settle_blocks, show_surface_plan
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import Refusal, console, echo
from experiments.kinds import METRIC_KINDS, RULES

if TYPE_CHECKING:
    from experiments.scorecards.plan import Plan


@click.command()
@click.option("--kind", type=click.Choice(METRIC_KINDS), default="proportion", show_default=True)
@click.option("--baseline", type=float, help="The control's proportion, mean, ratio or quantile.")
@click.option(
    "--mde", type=float, help="Smallest effect worth detecting, relative to the baseline: 0.05 is 5%."
)
@click.option("--absolute", is_flag=True, help="--mde is in the metric's own unit.")
@click.option(
    "--sd", type=float, help="Spread of a unit's value; of a ratio, that of (y - r d) / mean d."
)
@click.option("--quantile", type=float, default=0.5, show_default=True, help="Quantile: which one.")
@click.option("--density", type=float, help="Quantile: density of the values at it, in place of --sd.")
@click.option(
    "--units", type=float, help="The reverse: the effect that this many units in total can detect."
)
@click.option("--alpha", type=float, default=0.05, show_default=True)
@click.option("--power", type=float, default=0.8, show_default=True)
@click.option(
    "--split",
    default="50/50",
    show_default=True,
    help="Shares: control first; more for more treatments.",
)
@click.option("--correlation", type=float, default=0.0, help="Of a covariate with the value (CUPED).")
@click.option(
    "--guardrails", type=int, default=0, show_default=True, help="Number of guardrail metrics."
)
@click.option("--rule", type=click.Choice(RULES), default="group_sequential", show_default=True)
@click.option("--looks", type=int, default=100, show_default=True, help="Number of looks in the plan.")
@click.option("--reserve", type=float, help="Part of alpha for after the plan; default: a tenth of it.")
@click.option(
    "--futility/--no-futility",
    default=True,
    show_default=True,
    help="Stop early without prospect of a verdict.",
)
@click.option("--traffic", help="New units per day: one number, or seven with commas, Monday first.")
@click.option(
    "--allocation",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of traffic in the experiment.",
)
@click.option(
    "--window-days",
    type=float,
    default=1.0,
    show_default=True,
    help="How long a unit takes to be complete.",
)
@click.option(
    "--block-seconds",
    type=float,
    help="Plan a switchback: units are blocks of time of this length, and --sd is their spread.",
)
@click.option(
    "--carry-over-seconds", type=float, help="Start of each block that counts for nobody; at least 60."
)
@click.option(
    "--surface",
    help="Plan for --mde from the last week of this surface's traffic, on a running platform.",
)
@click.option(
    "--metric", help="With --surface: what decides; the programme's primary metric by default."
)
@project_option
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def power(
    form: str, surface: str | None, metric: str | None, slug: str | None, **options: Any
) -> None:  # fmt: skip
    """Plan an experiment: its size and duration, or what it can detect.

    \b
    bakeoff power --baseline 0.1 --mde 0.05 --traffic 4000
    bakeoff power --kind mean --baseline 20 --sd 35 --mde 1 --absolute --correlation 0.6
    bakeoff power --baseline 0.1 --units 20000
    bakeoff power --surface home-feed --mde 0.05
    bakeoff power --surface home-feed --mde 0.05 --block-seconds 7200 --carry-over-seconds 1200
    """  # noqa: D301  click reads the control character
    lengths = settle_blocks(options)
    if surface is not None:
        target = find_surface(find_project(slug), surface)
        show_surface_plan(target, metric, form, options, lengths)
        return
    if options["baseline"] is None:
        raise Refusal("baseline: --baseline must be given, or --surface to plan from its traffic.")
    from experiments.scorecards.plan import PlanQuestion, plan
    from experiments.stats.totals import StatisticsError

    if (options["mde"] is None) == (options["units"] is None):
        raise Refusal("mde and units: exactly one of --mde and --units must be given.")
    try:
        shares = [float(part) for part in options.pop("split").split("/")]
        traffic = (
            [float(part) for part in options.pop("traffic").split(",")] if options["traffic"] else None
        )
    except ValueError as error:
        raise Refusal(
            f"{error}: split and traffic must be numbers, as 50/50 and 1000 or 7 with commas."
        ) from error
    options.pop("traffic", None)
    if lengths is not None:
        traffic = [DAY / lengths[0]]
    try:
        question = PlanQuestion(shares=shares, traffic=traffic, **options)
        result = plan(question) if lengths is None else plan_enough_blocks(question)
    except StatisticsError as error:
        raise Refusal(str(error)) from error
    if form == "json":
        click.echo(json.dumps(result.as_json(), indent=1, allow_nan=False))
    else:
        _show(result)


def _show(result: Plan) -> None:
    table = Table("what", "value", title=f"Plan ({result.rule})", show_header=False)
    for name, units in zip(["control", *result.treatments], result.units_per_variant, strict=True):
        table.add_row(f"units, {name}", f"{units:,}")
    table.add_row("units, all variants (planned_units)", f"{result.units:,}")
    table.add_row("of these for looks, reserve and futility", f"{result.inflation - 1:+.1%}")
    relative = "–" if result.mde_relative is None else f"{result.mde_relative:.3%}"
    table.add_row("smallest effect, relative", relative)
    table.add_row("smallest effect, absolute", f"{result.mde_absolute:.5g}")
    table.add_row(
        "mean length without an effect / with it", f"{result.stop_null:.0%} / {result.stop_effect:.0%}"
    )
    if result.units_interleaved is not None:
        table.add_row("about as many by interleaved lists, of clicks", f"{result.units_interleaved:,}")
    if result.days is not None:
        table.add_row("days, window included", f"{result.days}")
        table.add_row("in full weeks", f"{math.ceil(result.days / 7)}")
    console.print(table)
    echo(f"alpha {result.alpha:g} two-sided, power {result.power:.1%} for the primary metric.")
