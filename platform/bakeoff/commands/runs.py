"""`bakeoff runs`: training runs from a shell."""

from __future__ import annotations

import click
from rich.table import Table

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.project import find_project, find_surface, project_option
from bakeoff.commands.terminal import console, echo, fail


@click.group()
def runs() -> None:
    """Look at training runs, and cancel one."""


@runs.command("list")
@click.argument("surface")
@project_option
def list_runs(surface: str, slug: str | None) -> None:
    """List the last runs of SURFACE, newest first."""
    target = find_surface(find_project(slug), surface)
    table = Table("run", "model", "trigger", "state", "%", "message")
    for run in target.training_runs.all()[:20]:
        table.add_row(
            str(run.pk),
            run.algorithm,
            run.trigger,
            run.state,
            f"{run.progress:.0%}",
            run.message[:80],
        )
    if table.row_count:
        console.print(table)
    else:
        echo(f"No training runs yet: `bakeoff train {surface}` starts the first.")


@runs.command()
@click.argument("run_id", type=int)
@project_option
def cancel(run_id: int, slug: str | None) -> None:
    """Cancel the run RUN_ID, which waits or works."""
    project = find_project(slug)
    from inference.actions.cancel_training import CannotCancelError, cancel_training
    from inference.models import TrainingRun

    run = TrainingRun.objects.filter(surface__project=project, pk=run_id).first()
    if run is None:
        raise click.UsageError(f"run == {run_id}, not found in project '{project.slug}'.")
    try:
        cancel_training(run=run, by=OPERATOR)
    except CannotCancelError as error:
        raise fail(str(error)) from error
    echo(f"Run {run_id} cancelled.")
