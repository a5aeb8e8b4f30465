"""`bakeoff simulate --programme`: what a year brings under each release rule."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from bakeoff.commands.terminal import Refusal, console, echo, error_console, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.simulation.programme_table import Figure, ProgrammeRow

RELEASE_RULES = ("publish", "peek", "fixed", "significant", "valuable")
MIN_RUNS, MAX_RUNS = 2, 100_000
OPTIONS = (
    click.option("--weeks", type=int, default=52, show_default=True),
    click.option("--runs", type=int, default=200, show_default=True, help="Simulated years."),
    click.option("--users-per-week", type=int, default=20_000, show_default=True),
    click.option("--prior-mean", type=float, default=0.0, show_default=True, help="Of true log lifts."),
    click.option("--prior-sd", type=float, default=0.03, show_default=True),
    click.option(
        "--share-broken",
        type=float,
        default=0.05,
        show_default=True,
        help="Challengers that lose 30 to 100% of the conversions.",
    ),
    click.option(
        "--ageing",
        type=float,
        default=0.0,
        show_default=True,
        help="Log lift that a version loses per week since it was trained.",
    ),
    click.option("--challengers-per-week", type=float, default=1.0, show_default=True),
    click.option(
        "--retrains",
        is_flag=True,
        help="Lifts do not add up: challengers are draws around one recipe.",
    ),
    click.option(
        "--interleaving",
        type=float,
        default=1.0,
        show_default=True,
        help="How much a user tells in a screening, of what the benchmark measured; 0: no screening.",
    ),
    click.option(
        "--significant-weeks",
        type=float,
        default=4.0,
        show_default=True,
        help="Weeks of users that a test plans for.",
    ),
    click.option("--valuable-weeks", type=float, default=1.0, show_default=True),
    click.option(
        "--daily-ramp",
        is_flag=True,
        help="Each step of the ramp lasts a day, whatever its users could show.",
    ),
    click.option(
        "--release-rule",
        "release_rules",
        type=click.Choice(RELEASE_RULES),
        multiple=True,
        help="To compare; all by default. The oracle is always shown.",
    ),
)
NAMES = (
    "weeks", "runs", "users_per_week", "prior_mean", "prior_sd", "share_broken", "ageing",
    "challengers_per_week", "retrains", "interleaving", "significant_weeks", "valuable_weeks",
    "daily_ramp", "release_rules",
)  # fmt: skip


def programme_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a simulated programme."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def simulate_programme(options: dict[str, Any], *, baseline: float, seed: int, as_json: bool) -> None:
    """Pass the years and show the table.

    Args:
        options: those of `programme_options`.
        baseline: the first champion's conversion rate.
        seed: of all randomness.
        as_json: whether JSON is printed.

    Raises:
        Refusal: an option breaks its rule.
    """
    from experiments.simulation.programme_table import PROGRAMMES, Programme, simulate_programmes
    from experiments.simulation.settings import YearSettings
    from experiments.stats.totals import StatisticsError

    runs, rules = options.pop("runs"), options.pop("release_rules") or RELEASE_RULES
    interleaving = options.pop("interleaving")
    if not MIN_RUNS <= runs <= MAX_RUNS:
        raise Refusal(f"runs == {runs}, must be in [{MIN_RUNS}, {MAX_RUNS}].")
    if seed < 0:
        raise Refusal(f"seed == {seed}, must be at least 0.")
    try:
        settings = YearSettings(**options, baseline=baseline, interleaving=interleaving or 1.0)
    except StatisticsError as error:
        raise Refusal(str(error)) from error
    chosen = [
        one
        for one in PROGRAMMES
        if one.rule == "oracle" or (one.rule in rules and (interleaving or not one.interleaving))
    ]

    with progress("Simulating years", runs * len(chosen), to=error_console) as advance:

        def step(programme: Programme) -> None:
            advance(1, programme.label)

        rows = simulate_programmes(settings, chosen, runs=runs, seed=seed, advance=step)
    if as_json:
        shown = {"runs": runs, "seed": seed, "settings": asdict(settings)}
        if not interleaving:
            shown["settings"]["interleaving"] = None
        click.echo(json.dumps(shown | {"rows": [row.as_json() for row in rows]}, indent=1))
    else:
        _show(rows, runs=runs, weeks=settings.weeks)


def _show(rows: Sequence[ProgrammeRow], *, runs: int, weeks: int) -> None:
    table = Table(
        "rule", "final lift", "captured", "promoted", "false", "< -1%",
        "on broken", "on worse", title=f"{weeks} weeks, {runs} runs", box=None,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(
            "  screening" if row.interleaving else row.rule,
            f"{100 * row.final_lift.value:+.1f}±{row.final_lift.error:.1%}",
            f"{100 * row.share_of_oracle.value:.0f}±{row.share_of_oracle.error:.0%}",
            _mean(row.promotions),
            _mean(row.harmful_promotions),
            _mean(row.clearly_harmful_promotions),
            # Without their errors, which are in the JSON: all fits into 80 characters.
            f"{row.broken_user_days.value:,.0f}",
            f"{row.worse_user_days.value:,.0f}",
        )
    console.print(table)
    echo("Lifts are medians, all else means; ± is one Monte-Carlo standard error. captured: of the")
    echo(
        "oracle's lift; false: promoted although worse; on broken, on worse: user-days on such models."
    )
    echo("screening: by interleaving first. What is simulated how: docs/statistics/programme.md.")


def _mean(figure: Figure) -> str:
    return f"{figure.value:.1f}±{figure.error:.1f}"
