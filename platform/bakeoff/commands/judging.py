"""`bakeoff judging`: how a surface's answers are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import console
from bakeoff.commands.text_files import text_of


@click.command()
@surface_argument
@click.option("--judge", metavar="SURFACE/VERSION", help="A version of another surface; '' for none.")
@click.option("--rubric", help="What makes an answer good, for judge and people.")
@click.option(
    "--rubric-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The same from a file.",
)
@click.option("--points", type=int, help="Of the scale on which answers are rated.")
@click.option("--judge-share", type=float, help="Share of answers that the judge scores.")
@click.option("--label-share", type=float, help="Share of answers drawn for people to rate.")
@click.option("--daily-cost", type=float, help="What the judge may cost a day, with checks.")
@click.option("--check-margin", type=float, help="Loss of a share of rows that a check accepts.")
@click.option(
    "--check-min-share", type=float, help="Of rows that keep an assertion, without a champion."
)
@click.option("--check-cost-ratio", type=float, help="As many times the champion's cost it accepts.")
@click.option("--check-latency-ratio", type=float, help="The same of latency.")
@project_option
def judging(surface: str, slug: str | None, **options: Any) -> None:
    """Show how SURFACE's answers are judged; with an option, change it first."""
    target = find_surface(find_project(slug), surface)
    from bakeoff.accounts.refused import RefusedError
    from experiments.actions.plan_judging import judging_settings, plan_judging
    from experiments.models import judge_plan_of

    file = options.pop("rubric_file")
    if file is not None and options["rubric"] is not None:
        raise click.UsageError("give one of --rubric and --rubric-file.")
    if file is not None:
        options["rubric"] = text_of(file)
    changes = {name: value for name, value in options.items() if value is not None}
    plan = judge_plan_of(target)
    if changes:
        try:
            plan = plan_judging(surface=target, changes=changes, by=OPERATOR)
        except RefusedError as error:
            raise click.UsageError(str(error)) from error
    table = Table("setting", "value")
    for name, value in judging_settings(plan).items():
        table.add_row(name, "none" if value in {None, ""} else str(value))
    console.print(table)
