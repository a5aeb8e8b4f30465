"""`bakeoff sample`: the shop that `bakeoff up --sample` set up."""

from __future__ import annotations

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.project import set_up_django
from bakeoff.commands.terminal import echo, fail


@click.group()
def sample() -> None:
    """Work with the sample shop that `bakeoff up --sample` set up."""


@sample.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(yes: bool) -> None:  # noqa: FBT001  click passes it so
    """Remove the sample shop with everything in it; other projects stay as they are."""
    set_up_django()
    from bakeoff.accounts.models import Project
    from experiments.actions.remove_sample import remove_sample

    project = Project.objects.filter(is_sample=True).first()
    if project is None:
        raise fail("there is no sample shop: `bakeoff up --sample` sets one up.")
    if not yes:
        click.confirm(
            f"Remove project '{project}' with its experiment, its users and its events?", abort=True
        )
    rows = remove_sample(project=project, by=OPERATOR)
    echo(f"The sample shop is gone: {rows:,} rows removed.")
