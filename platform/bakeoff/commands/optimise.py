"""`bakeoff optimise`: a better prompt, proposed by a strong model."""

from __future__ import annotations

from typing import Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.models import follow_run
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import fail


@click.command()
@click.argument("surface")
@click.option("--provider", required=True, help="Of the model that proposes, from BAKEOFF_PROVIDERS.")
@click.option("--model", required=True, help="Its name at the provider.")
@click.option("--data-set", help="By which proposals are compared; not needed where one is the gate.")
@click.option("--proposals", type=int, help="How many are asked for at most (5).")
@click.option("--rows", type=int, help="Of the data set that each is tried on (50).")
@click.option("--budget-tokens", type=int, help="Tokens of the whole search (1,000,000).")
@click.option("--budget-money", type=float, help="Money of the whole search (5).")
@project_option
def optimise(surface: str, slug: str | None, **options: Any) -> None:
    """Let a strong model propose better prompts for SURFACE from what came of its answers.

    The best proposal becomes a candidate, is checked on a data set, and meets users in an experiment.
    """
    target = find_surface(find_project(slug), surface)
    from bakeoff.accounts.refused import RefusedError
    from experiments.actions.optimise_prompt import optimise_prompt
    from inference.actions.queue_training import CannotTrainError

    params = {name: value for name, value in options.items() if value is not None}
    try:
        run = optimise_prompt(surface=target, params=params, by=OPERATOR)
    except (RefusedError, CannotTrainError) as error:
        raise fail(str(error)) from error
    follow_run(run)
